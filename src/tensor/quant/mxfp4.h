// MXFP4 (OCP Microscaling Formats 1.0): 32 elements of 4 bits (sign, 2 bits of exponent, 1 of
// fraction) that share a power of two. GGUF files hold the power and the elements of a block
// together; safetensors checkpoints hold all powers in a tensor of their own, and the elements of a
// block in their order, two in a byte.
// Thread: any (constants and pure functions).
#pragma once

#include <cstddef>
#include <cstdint>

namespace inferneo::tensor {

inline constexpr std::int64_t kMxfp4Elements = 32;
inline constexpr std::int64_t kMxfp4Size = 17;       // of a block of a GGUF file
inline constexpr std::int64_t kMxfp4ApartSize = 16;  // without its power

// Brings `count` blocks and their powers of two (biased by 127) to the layout of GGUF files.
void join_mxfp4(const std::byte* blocks,
                const std::byte* powers,
                std::int64_t count,
                std::byte* out) noexcept;

}  // namespace inferneo::tensor
