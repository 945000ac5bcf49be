#include "tensor/dtype.h"

#include <array>

#include "base/check.h"

namespace inferneo::tensor {
namespace {

struct Row {
  DType dtype;
  std::int64_t block_elements;
  std::size_t block_size;
  std::string_view name;
  std::string_view safetensors;
};

constexpr std::array<Row, 24> kRows = {{
    {DType::kF32, 1, 4, "f32", "F32"},     {DType::kF16, 1, 2, "f16", "F16"},
    {DType::kBf16, 1, 2, "bf16", "BF16"},  {DType::kF64, 1, 8, "f64", "F64"},
    {DType::kI8, 1, 1, "i8", "I8"},        {DType::kU8, 1, 1, "u8", "U8"},
    {DType::kI16, 1, 2, "i16", "I16"},     {DType::kI32, 1, 4, "i32", "I32"},
    {DType::kI64, 1, 8, "i64", "I64"},     {DType::kBool, 1, 1, "bool", "BOOL"},
    {DType::kQ4_0, 32, 18, "q4_0", {}},    {DType::kQ4_1, 32, 20, "q4_1", {}},
    {DType::kQ5_0, 32, 22, "q5_0", {}},    {DType::kQ5_1, 32, 24, "q5_1", {}},
    {DType::kQ8_0, 32, 34, "q8_0", {}},    {DType::kQ2_K, 256, 84, "q2_k", {}},
    {DType::kQ3_K, 256, 110, "q3_k", {}},  {DType::kQ4_K, 256, 144, "q4_k", {}},
    {DType::kQ5_K, 256, 176, "q5_k", {}},  {DType::kQ6_K, 256, 210, "q6_k", {}},
    {DType::kIq4Nl, 32, 18, "iq4_nl", {}}, {DType::kIq4Xs, 256, 136, "iq4_xs", {}},
    {DType::kMxfp4, 32, 17, "mxfp4", {}},  {DType::kMxfp4Apart, 32, 16, "mxfp4_apart", {}},
}};

const Row& row(DType dtype) { return kRows[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::int64_t dtype_block_elements(DType dtype) { return row(dtype).block_elements; }
std::size_t dtype_block_size(DType dtype) { return row(dtype).block_size; }

std::size_t dtype_size(DType dtype) {
  CHECK(row(dtype).block_elements == 1);
  return row(dtype).block_size;
}

std::string_view dtype_name(DType dtype) { return row(dtype).name; }

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const Row& row : kRows) {
    if (!name.empty() && row.safetensors == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace inferneo::tensor
