// Scalar arithmetic of the training step, written so that loops over it vectorise: bfloat16
// rounding, two bfloat16 values in one word, and the exponential function.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace starter {

using Bf16 = uint16_t;

// The upper half of the result is `value` rounded to bfloat16, ties to even.
inline uint32_t rounded_word(float value) {
  const auto word = std::bit_cast<uint32_t>(value);
  return word + 0x7fffU + ((word >> 16) & 1U);
}

inline Bf16 to_bf16(float value) { return static_cast<Bf16>(rounded_word(value) >> 16); }

inline float from_bf16(Bf16 value) { return std::bit_cast<float>(uint32_t{value} << 16); }

inline float round_to_bf16(float value) {
  return std::bit_cast<float>(rounded_word(value) & 0xffff0000U);
}

// Two bfloat16 values as one little-endian word, `even` first in memory.
inline uint32_t bf16_pair(float even, float odd) {
  return (rounded_word(even) >> 16) | (rounded_word(odd) & 0xffff0000U);
}

// e^x for x in [-87, 88]; beyond it, the value at the nearer end.
// Bound: relative error 1e-5, far below the bfloat16 rounding of every use.
inline float exponential(float x) {
  const float scaled = std::min(std::max(x, -87.0F), 88.0F) * 1.44269504F;
  const float whole = __builtin_rintf(scaled);
  const float z = scaled - whole;
  // Taylor series of 2^z on [-0.5, 0.5].
  float p = 0.00133336F;
  p = p * z + 0.00961813F;
  p = p * z + 0.05550411F;
  p = p * z + 0.24022651F;
  p = p * z + 0.69314718F;
  p = p * z + 1.0F;
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + (static_cast<int32_t>(whole) << 23));
}

// The largest of n values, a multiple of 16. Why a vector: a plain loop vectorises only where the
// compiler may ignore that values can be no numbers.
inline float highest_of(const float* values, size_t n) {
  typedef float Lanes __attribute__((vector_size(64)));
  Lanes highest;
  __builtin_memcpy(&highest, values, sizeof highest);
  for (size_t at = 16; at < n; at += 16) {
    Lanes next;
    __builtin_memcpy(&next, values + at, sizeof next);
    highest = next > highest ? next : highest;
  }
  float result = highest[0];
  for (int j = 1; j < 16; ++j) result = std::max(result, highest[j]);
  return result;
}

}  // namespace starter
