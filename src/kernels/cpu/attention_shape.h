// Tile sizes of the attention kernels, shared with the function that says how much scratch they
// need.
// Thread: any (constants).
#pragma once

#include <stdint.h>

namespace inferneo::kernels {

// Keys taken at a time. Why 64: four 16-lane score vectors hide the latency of the multiply-add
// chain when a tile holds a single query row.
inline constexpr int32_t kKeyTile = 64;
// Query rows (a head of a position is a row) that share each load of a key tile.
inline constexpr int32_t kQueryTile = 32;
// Widest vector of any table, in floats; scratch rows are padded to it.
inline constexpr int32_t kLanesMax = 16;

constexpr int64_t padded_head_dim(int64_t head_dim) {
  return (head_dim + kLanesMax - 1) / kLanesMax * kLanesMax;
}

}  // namespace inferneo::kernels
