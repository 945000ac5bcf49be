// Packing of the blocks whose groups have a scale and a minimum that are themselves small integers
// times one f16 each (Q2_K, Q4_K, Q5_K).
// Thread: any (pure functions).
#pragma once

#include "tensor/quant/block.h"

namespace inferneo::tensor {

inline constexpr int kSuperBlock = 256;

// element = scale_unit * scale_levels[g] * code - min_unit * min_levels[g]
struct AffineFit {
  std::uint8_t codes[kSuperBlock] = {};
  std::uint8_t scale_levels[16] = {};
  std::uint8_t min_levels[16] = {};
};

// Fits 256 elements in groups of `group` to codes 0 .. code_max and levels 0 .. level_max, and
// stores the f16 units. Why levels are rounded up: each group's range is then covered whole, so an
// element is off by at most half of its group's scale.
inline void fit_affine(const float* x,
                       int group,
                       int code_max,
                       int level_max,
                       std::uint8_t* scale_unit_at,
                       std::uint8_t* min_unit_at,
                       AffineFit& fit) {
  const int group_count = kSuperBlock / group;
  const auto level_up = [&](float value, float unit) {
    const float level = std::ceil(value * inverse_or_zero(unit));
    return static_cast<std::uint8_t>(nearest_within(level, 0, level_max));
  };
  float depths[16];  // how far each group reaches below zero
  float depth_max = 0.F;
  for (int g = 0; g < group_count; ++g) {
    depths[g] = std::max(0.F, -*std::min_element(x + g * group, x + (g + 1) * group));
    depth_max = std::max(depth_max, depths[g]);
  }
  const float min_unit = store_f16_up(min_unit_at, depth_max / static_cast<float>(level_max));
  float scales[16];
  float scale_max = 0.F;
  for (int g = 0; g < group_count; ++g) {
    fit.min_levels[g] = level_up(depths[g], min_unit);
    depths[g] = min_unit * static_cast<float>(fit.min_levels[g]);
    const float high = *std::max_element(x + g * group, x + (g + 1) * group);
    scales[g] = std::max(0.F, high + depths[g]) / static_cast<float>(code_max);
    scale_max = std::max(scale_max, scales[g]);
  }
  const float scale_unit = store_f16_up(scale_unit_at, scale_max / static_cast<float>(level_max));
  for (int g = 0; g < group_count; ++g) {
    fit.scale_levels[g] = level_up(scales[g], scale_unit);
    const float inverse = inverse_or_zero(scale_unit * static_cast<float>(fit.scale_levels[g]));
    for (int i = g * group; i < (g + 1) * group; ++i) {
      fit.codes[i] =
          static_cast<std::uint8_t>(nearest_within((x[i] + depths[g]) * inverse, 0, code_max));
    }
  }
}

}  // namespace inferneo::tensor
