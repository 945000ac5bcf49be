// Element types of tensors.
// Thread: any (plain values).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace inferneo::tensor {

enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBf16,
  kF64,
  kI8,
  kU8,
  kI16,
  kI32,
  kI64,
  kBool,
  // Quantised in blocks of elements that follow each other in a row; tensor/quant has their layout.
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIq4Nl,
  kIq4Xs,
  kMxfp4,
  // The same with the scales of its blocks in a tensor of their own, see TensorView::scales.
  kMxfp4Apart,
};

// Elements in the smallest unit of storage: 1, or the block of a quantised type. A row of a tensor
// holds whole blocks.
std::int64_t dtype_block_elements(DType dtype);
// Bytes of that unit.
std::size_t dtype_block_size(DType dtype);
inline bool is_quantized(DType dtype) { return dtype >= DType::kQ4_0; }
// The type with the same elements whose blocks have a QuantFormat: itself but for kMxfp4Apart.
inline DType dtype_of_blocks(DType dtype) {
  return dtype == DType::kMxfp4Apart ? DType::kMxfp4 : dtype;
}
// Bytes per element. Precondition: not quantised.
std::size_t dtype_size(DType dtype);
// Lower-case name as in config files ("bf16").
std::string_view dtype_name(DType dtype);
// Spec: safetensors header ("BF16", "F32", ...). Empty for a type that is not known.
std::optional<DType> dtype_from_safetensors(std::string_view name);

}  // namespace inferneo::tensor
