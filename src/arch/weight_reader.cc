#include "arch/weight_reader.h"

#include <utility>

#include "base/str.h"

namespace inferneo::arch {
namespace {

constexpr std::size_t kNameSizeMax = 160;
const tensor::TensorView kNoWeight;

}  // namespace

void WeightReader::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

const tensor::TensorView& WeightReader::take(const std::string& name, const tensor::Shape& shape) {
  const tensor::TensorView* view = weights_.find(name);
  if (view == nullptr) {
    fail(corrupt_data(str("tensor \"", name, "\" of shape ", shape.to_string(), " is missing")));
    return kNoWeight;
  }
  taken_.insert(name);
  if (view->shape != shape) {
    fail(corrupt_data(str("tensor \"",
                          name,
                          "\" has the shape ",
                          view->shape.to_string(),
                          ", but config.json asks for ",
                          shape.to_string())));
    return kNoWeight;
  }
  using tensor::DType;
  if (view->dtype != DType::kF32 && view->dtype != DType::kF16 && view->dtype != DType::kBf16) {
    fail(unsupported(str("tensor \"",
                         name,
                         "\" has the element type ",
                         tensor::dtype_name(view->dtype),
                         "; the supported types are f32, f16 and bf16")));
    return kNoWeight;
  }
  return *view;
}

Status WeightReader::finish() {
  for (const auto& [name, view] : weights_.entries()) {
    if (!taken_.contains(name)) {
      fail(corrupt_data(str("tensor \"",
                            printable(name, kNameSizeMax),
                            "\" of shape ",
                            view.shape.to_string(),
                            " has no place in this architecture")));
    }
  }
  return status_;
}

}  // namespace inferneo::arch
