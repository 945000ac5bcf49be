#include "tensor/dtype.h"

#include <array>

namespace inferneo::tensor {
namespace {

struct Row {
  DType dtype;
  std::size_t size;
  std::string_view name;
  std::string_view safetensors;
};

constexpr std::array<Row, 10> kRows = {{
    {DType::kF32, 4, "f32", "F32"},
    {DType::kF16, 2, "f16", "F16"},
    {DType::kBf16, 2, "bf16", "BF16"},
    {DType::kF64, 8, "f64", "F64"},
    {DType::kI8, 1, "i8", "I8"},
    {DType::kU8, 1, "u8", "U8"},
    {DType::kI16, 2, "i16", "I16"},
    {DType::kI32, 4, "i32", "I32"},
    {DType::kI64, 8, "i64", "I64"},
    {DType::kBool, 1, "bool", "BOOL"},
}};

}  // namespace

std::size_t dtype_size(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].size; }
std::string_view dtype_name(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].name; }

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.safetensors == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace inferneo::tensor
