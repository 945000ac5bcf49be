// The numbers that GGUF files use for types: of metadata values and of tensor elements.
// Spec: ggml, docs/gguf.md.
// Thread: any (constants and pure functions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/dtype.h"

namespace inferneo::formats {

enum class GgufType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
inline constexpr std::uint32_t kGgufTypeCount = 13;

// Fewest bytes that a value of the type takes in a file; 0 where there is no such type.
std::size_t gguf_type_size_min(std::uint32_t type);

// Empty for a type that this program does not read.
std::optional<tensor::DType> dtype_from_ggml(std::uint32_t ggml_type);
// Empty for a type that GGUF does not have.
std::optional<std::uint32_t> ggml_from_dtype(tensor::DType dtype);
// "IQ2_XXS (type 16)"; "type 99" where the number is not known.
std::string ggml_type_text(std::uint32_t ggml_type);
// "F32, F16, Q4_0, ...": all that dtype_from_ggml knows.
std::string supported_ggml_types();

}  // namespace inferneo::formats
