// Inputs and comparisons for the tests of this folder; no product code includes it.
// Thread: any.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/kernel_table.h"

namespace inferneo::kernels::testing {

// Lengths around every vector width and tile size in use.
inline constexpr std::int64_t kOddSizes[] = {1,  2,  3,  5,  7,  8,  9,   15,  16,  17,  31,  32,
                                             33, 47, 63, 64, 65, 96, 100, 127, 128, 129, 255, 300};

// Values in [-1, 1], the same for the same seed.
inline std::vector<float> random_floats(std::int64_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = uniform(engine);
  return values;
}

inline std::vector<Bf16> to_bf16(const std::vector<float>& x) {
  std::vector<Bf16> y(x.size());
  reference_table().f32_to_bf16(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
  return y;
}

inline std::vector<F16> to_f16(const std::vector<float>& x) {
  std::vector<F16> y(x.size());
  reference_table().f32_to_f16(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
  return y;
}

// Equal bits, or both NaN.
inline bool same_bits(float a, float b) {
  if (std::isnan(a) && std::isnan(b)) return true;
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

// Within `bound`, or the same infinity, or both NaN.
inline bool close(float a, float b, double bound) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(static_cast<double>(a) - static_cast<double>(b)) <= bound;
}

}  // namespace inferneo::kernels::testing
