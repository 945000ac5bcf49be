// Element types of tensors.
// Thread: any (plain values).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace inferneo::tensor {

enum class DType : std::uint8_t { kF32, kF16, kBf16, kF64, kI8, kU8, kI16, kI32, kI64, kBool };

// Bytes per element.
std::size_t dtype_size(DType dtype);
// Lower-case name as in config files ("bf16").
std::string_view dtype_name(DType dtype);
// Spec: safetensors header ("BF16", "F32", ...). Empty for a type that is not known.
std::optional<DType> dtype_from_safetensors(std::string_view name);

}  // namespace inferneo::tensor
