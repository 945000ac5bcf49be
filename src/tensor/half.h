// f16 and bf16 numbers as their 16 bits, to and from f32. Kernels have their own, wider ones; these
// are for what is done a few numbers at a time.
// Thread: any (pure functions).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace inferneo::tensor {

// Exact. Why not a table or a product with 2^112: masks instead of branches are what the compiler
// vectorises, and subnormal numbers come out also where a thread treats subnormal f32 as zero.
inline float f16_to_f32(std::uint16_t half) noexcept {
  const std::int32_t magnitude = half & 0x7FFF;
  const std::int32_t sign = (half & 0x8000) << 16;
  // All ones where the condition holds.
  const std::int32_t is_subnormal = (magnitude - 0x400) >> 31;
  const std::int32_t is_infinite_or_nan = (0x7BFF - magnitude) >> 31;
  const std::int32_t rebias = (112 << 23) + (is_infinite_or_nan & (112 << 23));
  const std::int32_t normal = (magnitude << 13) + rebias;
  const auto subnormal = std::bit_cast<std::int32_t>(static_cast<float>(magnitude) * 0x1p-24F);
  return std::bit_cast<float>((subnormal & is_subnormal) | (normal & ~is_subnormal) | sign);
}

// Nearest, ties to even; numbers too large become infinite.
inline std::uint16_t f32_to_f16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const std::uint32_t magnitude = bits & 0x7FFF'FFFF;
  if (magnitude > 0x7F80'0000) return static_cast<std::uint16_t>(sign | 0x7E00);
  // 65520 lies halfway between the largest f16 and the next power of two.
  if (magnitude >= 0x477F'F000) return static_cast<std::uint16_t>(sign | 0x7C00);
  if (magnitude < 0x3880'0000) {
    // Below 2^-14 an f16 counts units of 2^-24; adding 1/2 makes the f32 unit of the sum the same.
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - 0x3F00'0000));
  }
  const std::uint32_t even = (magnitude >> 13) & 1;
  const std::uint32_t rounded = magnitude + 0xFFF + even - (112U << 23);
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}

inline float bf16_to_f32(std::uint16_t half) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

// Nearest, ties to even.
inline std::uint16_t f32_to_bf16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

}  // namespace inferneo::tensor
