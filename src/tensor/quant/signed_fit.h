// Packing of the blocks whose groups have a scale that is itself a small signed integer times one
// f16 (Q3_K, Q6_K).
// Thread: any (pure functions).
#pragma once

#include "tensor/quant/block.h"

namespace inferneo::tensor {

// element = unit * levels[g] * codes[i]
struct SignedFit {
  std::int8_t codes[256] = {};
  std::int8_t levels[16] = {};
};

// Fits 256 elements in groups of 16 to codes code_min .. -code_min - 1 and levels level_min ..
// -level_min - 1, and stores the f16 unit. The element of largest magnitude of a group gets the
// code code_min, and the largest scale the level level_min.
inline void fit_signed(
    const float* x, int code_min, int level_min, std::uint8_t* unit_at, SignedFit& fit) {
  float scales[16];
  for (int g = 0; g < 16; ++g) {
    scales[g] = signed_extreme(x + 16 * g, 16) / static_cast<float>(code_min);
  }
  const float unit = store_f16(unit_at, signed_extreme(scales, 16) / static_cast<float>(level_min));
  const float unit_inverse = inverse_or_zero(unit);
  for (int g = 0; g < 16; ++g) {
    // Why away from zero: the scale then reaches the group's largest element.
    const float level = scales[g] * unit_inverse;
    const float away = level < 0.F ? std::floor(level) : std::ceil(level);
    fit.levels[g] = static_cast<std::int8_t>(nearest_within(away, level_min, -level_min - 1));
    const float inverse = inverse_or_zero(unit * static_cast<float>(fit.levels[g]));
    for (int i = 16 * g; i < 16 * (g + 1); ++i) {
      fit.codes[i] =
          static_cast<std::int8_t>(nearest_within(x[i] * inverse, code_min, -code_min - 1));
    }
  }
}

}  // namespace inferneo::tensor
