#include "requantize.h"

#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "base/str.h"
#include "formats/gguf.h"
#include "formats/gguf_types.h"
#include "formats/gguf_writer.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::bench {
namespace {

using formats::GgufMetadataBytes;
using formats::GgufNumbers;
using formats::GgufTensorInfo;
using tensor::DType;
using tensor::TensorView;

// They tell how one file holds the model, and would be wrong about another.
bool describes_the_file(std::string_view key) {
  return key.starts_with("split.") || key == "general.alignment" || key == "general.file_type" ||
         key == "general.quantization_version";
}

// Writes one entry in the type that GGUF converters give such a value.
class EntryWriter {
 public:
  EntryWriter(std::string_view key, GgufMetadataBytes& out) : key_(key), out_(out) {}

  void operator()(std::int64_t value) const { out_.i32(key_, static_cast<std::int32_t>(value)); }
  void operator()(std::uint64_t value) const {
    if (value > std::numeric_limits<std::uint32_t>::max()) return out_.u64(key_, value);
    out_.u32(key_, static_cast<std::uint32_t>(value));
  }
  void operator()(double value) const { out_.f32(key_, static_cast<float>(value)); }
  void operator()(bool value) const { out_.boolean(key_, value); }
  void operator()(std::string_view value) const { out_.text(key_, value); }
  void operator()(const GgufNumbers& numbers) const { std::visit(*this, numbers); }
  void operator()(const std::vector<std::int64_t>& values) const {
    out_.i32s(key_, std::vector<std::int32_t>(values.begin(), values.end()));
  }
  void operator()(const std::vector<double>& values) const {
    out_.f32s(key_, std::vector<float>(values.begin(), values.end()));
  }
  void operator()(const std::vector<std::string_view>& values) const {
    out_.texts(key_, std::vector<std::string>(values.begin(), values.end()));
  }

 private:
  std::string_view key_;
  GgufMetadataBytes& out_;
};

GgufMetadataBytes copied_metadata(const formats::GgufMetadata& metadata) {
  GgufMetadataBytes out;
  for (const auto& [key, value] : metadata.entries()) {
    if (!describes_the_file(key)) std::visit(EntryWriter(key, out), value);
  }
  return out;
}

Result<std::vector<GgufTensorInfo>> infos_of(const tensor::WeightMap& weights, DType dtype) {
  std::vector<GgufTensorInfo> infos;
  for (const auto& [name, view] : weights.entries()) {
    const bool is_matrix = view.shape.rank() == 2;
    const std::int64_t block = tensor::dtype_block_elements(dtype);
    if (is_matrix && view.shape[1] % block != 0) {
      return invalid_argument(str("rows of ",
                                  name,
                                  " have ",
                                  view.shape[1],
                                  " elements, which is no multiple of the ",
                                  block,
                                  " in a block of ",
                                  tensor::dtype_name(dtype)));
    }
    infos.push_back({name, is_matrix ? dtype : DType::kF32, view.shape});
  }
  return infos;
}

Status write_rows(formats::GgufWriter& writer, const TensorView& from, DType dtype) {
  const std::int64_t width = from.shape[from.shape.rank() - 1];
  const std::int64_t rows = width == 0 ? 0 : from.shape.element_count() / width;
  const std::size_t from_size = TensorView{from.dtype, {width}, nullptr}.byte_size();
  std::vector<float> floats(static_cast<std::size_t>(width));
  std::vector<std::byte> row(TensorView{dtype, {width}, nullptr}.byte_size());
  for (std::int64_t i = 0; i < rows; ++i) {
    tensor::dequantize_row(
        from.dtype, from.data + static_cast<std::size_t>(i) * from_size, width, floats.data());
    tensor::quantize_row(dtype, floats.data(), width, row.data());
    RETURN_IF_ERROR(writer.write(row));
  }
  return ok_status();
}

}  // namespace

Result<DType> matrix_type(std::string_view name) {
  std::vector<DType> types = {DType::kF32, DType::kF16, DType::kBf16};
  for (const tensor::QuantFormat* format : tensor::quant_format_table()) {
    types.push_back(format->dtype);
  }
  std::string names;
  for (const DType type : types) {
    if (tensor::dtype_name(type) == name) return type;
    names += str(names.empty() ? "" : ", ", tensor::dtype_name(type));
  }
  return invalid_argument(str("there is no type '", printable(name), "'"))
      .with_hint(str("types: ", names));
}

Status requantize(const std::string& from, const std::string& to, DType dtype) {
  ASSIGN_OR_RETURN(const formats::GgufFile file, formats::GgufFile::open(from));
  ASSIGN_OR_RETURN(const std::vector<GgufTensorInfo> infos, infos_of(file.weights(), dtype));
  ASSIGN_OR_RETURN(formats::GgufWriter writer,
                   formats::GgufWriter::create(to, copied_metadata(file.metadata()), infos));
  for (const GgufTensorInfo& info : infos) {
    RETURN_IF_ERROR(write_rows(writer, *file.weights().find(info.name), info.dtype));
  }
  return writer.finish();
}

}  // namespace inferneo::bench
