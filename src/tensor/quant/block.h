// What the block layouts share: little-endian f16 numbers inside a block, codes in halves of bytes,
// and the rounding that packing does.
// Thread: any (pure functions).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/half.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::tensor {

static_assert(std::endian::native == std::endian::little, "blocks are read in place");

inline const std::uint8_t* octets(const std::byte* bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes);
}
inline std::uint8_t* octets(std::byte* bytes) { return reinterpret_cast<std::uint8_t*>(bytes); }

template <typename T>
inline T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}
template <typename T>
inline void store(std::uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof(value));
}

inline float load_f16(const std::uint8_t* at) { return f16_to_f32(load<std::uint16_t>(at)); }

// Stores the nearest f16, a finite one, and returns what was stored.
inline float store_f16(std::uint8_t* at, float x) {
  const std::uint16_t half = f32_to_f16(std::clamp(x, -65504.F, 65504.F));
  store(at, half);
  return f16_to_f32(half);
}

// The same for a positive number, never rounded down unless it is too large for an f16.
inline float store_f16_up(std::uint8_t* at, float x) {
  float stored = store_f16(at, x);
  if (stored < x && stored < 65504.F) {
    store(at, static_cast<std::uint16_t>(load<std::uint16_t>(at) + 1));
    stored = load_f16(at);
  }
  return stored;
}

// Formats without a minimum leave zeros there.
inline void clear_mins(const UnpackedRow& out, std::int64_t group_count) {
  if (out.mins != nullptr) std::fill_n(out.mins, group_count, 0.F);
}

// Low halves of `count` bytes, then the high halves, each less `offset`.
template <int count, int offset>
inline void unpack_nibbles(const std::uint8_t* __restrict nibbles, std::int8_t* __restrict codes) {
  for (int i = 0; i < count; ++i) {
    codes[i] = static_cast<std::int8_t>((nibbles[i] & 15) - offset);
  }
  for (int i = 0; i < count; ++i) {
    codes[count + i] = static_cast<std::int8_t>((nibbles[i] >> 4) - offset);
  }
}

// The reverse for codes 0 .. 15 (more bits are left out).
template <int count>
inline void pack_nibbles(const std::uint8_t* __restrict codes, std::uint8_t* __restrict nibbles) {
  for (int i = 0; i < count; ++i) {
    nibbles[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[count + i] << 4));
  }
}

// Nearest integer within [low, high]; not-a-number gives low.
inline int nearest_within(float x, int low, int high) {
  const auto offset = static_cast<float>(low);
  if (!(x > offset)) return low;
  if (x >= static_cast<float>(high)) return high;
  return static_cast<int>(x - offset + 0.5F) + low;
}

// The number of largest magnitude, with its sign; 0 of zeros.
inline float signed_extreme(const float* x, int count) {
  float extreme = 0.F;
  for (int i = 0; i < count; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  return extreme;
}

inline float inverse_or_zero(float x) { return x == 0.F ? 0.F : 1.F / x; }

}  // namespace inferneo::tensor
