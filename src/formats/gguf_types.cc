#include "formats/gguf_types.h"

#include <array>

#include "base/str.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::formats {
namespace {

using tensor::DType;

constexpr std::array<std::size_t, kGgufTypeCount> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

struct PlainType {
  std::uint32_t ggml_type;
  DType dtype;
};
// Quantised types have their number in their QuantFormat.
constexpr std::array<PlainType, 8> kPlainTypes = {{
    {0, DType::kF32},
    {1, DType::kF16},
    {24, DType::kI8},
    {25, DType::kI16},
    {26, DType::kI32},
    {27, DType::kI64},
    {28, DType::kF64},
    {30, DType::kBf16},
}};

// Spec: enum ggml_type. Empty: numbers that were given up.
constexpr std::array<std::string_view, 43> kNames = {
    "F32",     "F16",   "Q4_0",   "Q4_1",  "",      "",       "Q5_0", "Q5_1",    "Q8_0",
    "Q8_1",    "Q2_K",  "Q3_K",   "Q4_K",  "Q5_K",  "Q6_K",   "Q8_K", "IQ2_XXS", "IQ2_XS",
    "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",   "I16",     "I32",
    "I64",     "F64",   "IQ1_M",  "BF16",  "",      "",       "",     "TQ1_0",   "TQ2_0",
    "",        "",      "",       "MXFP4", "NVFP4", "Q1_0",   "Q2_0"};

}  // namespace

std::size_t gguf_type_size_min(std::uint32_t type) {
  return type < kGgufTypeCount ? kSizes[type] : 0;
}

std::optional<DType> dtype_from_ggml(std::uint32_t ggml_type) {
  for (const PlainType& plain : kPlainTypes) {
    if (plain.ggml_type == ggml_type) return plain.dtype;
  }
  for (const tensor::QuantFormat* format : tensor::quant_format_table()) {
    if (static_cast<std::uint32_t>(format->ggml_type) == ggml_type) return format->dtype;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> ggml_from_dtype(DType dtype) {
  for (const PlainType& plain : kPlainTypes) {
    if (plain.dtype == dtype) return plain.ggml_type;
  }
  const tensor::QuantFormat* format = tensor::find_quant_format(dtype);
  if (format == nullptr) return std::nullopt;
  return static_cast<std::uint32_t>(format->ggml_type);
}

std::string ggml_type_text(std::uint32_t ggml_type) {
  if (ggml_type >= kNames.size() || kNames[ggml_type].empty()) return str("type ", ggml_type);
  return str(kNames[ggml_type], " (type ", ggml_type, ")");
}

std::string supported_ggml_types() {
  std::string list;
  for (std::uint32_t type = 0; type < kNames.size(); ++type) {
    if (!dtype_from_ggml(type)) continue;
    if (!list.empty()) list += ", ";
    list += kNames[type];
  }
  return list;
}

}  // namespace inferneo::formats
