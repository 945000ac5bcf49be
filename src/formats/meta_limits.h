// Bounds of hyperparameters: ten times and more above any published model, and small enough that
// the products of sizes that follow from them fit in 63 bits.
// Thread: any (constants).
#pragma once

#include <cstddef>
#include <cstdint>

namespace inferneo::formats {

inline constexpr std::int64_t kWidthMax = 1 << 20;
inline constexpr std::int64_t kFfnSizeMax = 1 << 23;
inline constexpr std::int64_t kLayerCountMax = 4096;
inline constexpr std::int64_t kHeadCountMax = 65536;
inline constexpr std::int64_t kHeadDimMax = 4096;
inline constexpr std::int64_t kContextTokensMax = 1 << 30;
inline constexpr std::size_t kEosCountMax = 64;
inline constexpr double kThetaMax = 1e15;

}  // namespace inferneo::formats
