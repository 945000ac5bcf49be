#include "formats/mxfp4_tensors.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/str.h"
#include "tensor/quant/mxfp4.h"

namespace inferneo::formats {
namespace {

using tensor::DType;
using tensor::TensorView;

constexpr std::string_view kBlocks = "_blocks";
constexpr std::string_view kScales = "_scales";

Status failure(std::string_view name, std::string_view what) {
  return corrupt_data(str("tensor \"", printable(name, 160), "\" ", what));
}

std::string describe(const TensorView& view) {
  return str(tensor::dtype_name(view.dtype), " ", view.shape.to_string());
}

// What the two halves stand for.
Result<TensorView> join(std::string_view name, const TensorView& blocks, const TensorView& scales) {
  const std::size_t rank = blocks.shape.rank();
  if (blocks.dtype != DType::kU8 || rank < 3 || blocks.shape[rank - 1] != tensor::kMxfp4ApartSize) {
    return failure(str(name, kBlocks),
                   str("is ", describe(blocks), ", but must be u8 [.., rows, groups, 16]"));
  }
  if (blocks.shape.element_count() == 0) {
    return failure(str(name, kBlocks), str("has no elements: ", blocks.shape.to_string()));
  }
  const auto dims = blocks.shape.dims();
  const tensor::Shape wanted(dims.first(rank - 1));
  if (scales.dtype != DType::kU8 || scales.shape != wanted) {
    return failure(str(name, kScales),
                   str("is ",
                       describe(scales),
                       ", but must be u8 ",
                       wanted.to_string(),
                       " beside the blocks of ",
                       blocks.shape.to_string()));
  }
  std::vector<std::int64_t> joined(dims.begin(), dims.end() - 1);
  joined.back() *= tensor::kMxfp4Elements;
  return TensorView{DType::kMxfp4Apart, tensor::Shape(joined), blocks.data, scales.data};
}

}  // namespace

Status join_mxfp4_tensors(tensor::WeightMap& weights) {
  tensor::WeightMap::Entries& entries = weights.entries();
  for (auto at = entries.begin(); at != entries.end();) {
    if (!at->first.ends_with(kBlocks)) {
      ++at;
      continue;
    }
    const std::string name = at->first.substr(0, at->first.size() - kBlocks.size());
    const auto scales = entries.find(str(name, kScales));
    if (scales == entries.end()) return failure(str(name, kScales), "is missing");
    ASSIGN_OR_RETURN(const TensorView view, join(name, at->second, scales->second));
    entries.erase(scales);
    at = entries.erase(at);
    if (!weights.add(name, view)) {
      return failure(name, str("is there beside ", printable(name, 160), kBlocks));
    }
  }
  return ok_status();
}

}  // namespace inferneo::formats
