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

// Tiles: queries that share a packed chunk of values, and the keys of a chunk.
// Why 256 queries: 32 rows of 8 heads; packing then costs less than a tenth of the softmax, and
// the tile's queries and outputs (64 KiB at head_dim 64) stay in L2.
inline constexpr int64_t kTileQueries = 256;
// Why 128: outputs are rescaled and reloaded once a chunk; its scores (16 KiB) stay in L1.
inline constexpr int64_t kTileKeys = 128;
// Head sizes that the tile kernel takes: whole steps of 32 elements. Bound: latent heads have 576;
// the scratch of a thread is then 3.0 MiB.
constexpr bool fits_tiles(int64_t head_dim) { return head_dim % 32 == 0 && head_dim <= 640; }

// The result of a range for some queries: what partials hold, at this stride for each range.
constexpr int64_t partial_floats(int64_t query_count, int64_t head_dim) {
  return (query_count * (padded_head_dim(head_dim) + 2) + 15) / 16 * 16;
}

// Queries, scores, transposed keys and scales of a tile and results of two ranges.
constexpr int64_t vector_attention_floats(int64_t head_dim) {
  return kQueryTile * (padded_head_dim(head_dim) + kKeyTile) +
         padded_head_dim(head_dim) * kKeyTile + 2 * kKeyTile +
         2 * partial_floats(kQueryTile, head_dim);
}

// Queries (two parts, halves) and outputs of a block, results of two ranges, seven values for each
// query, scores and weights (two parts, halves) of two tiles, keys and values (three and two
// planes, halves) and key scales of a chunk, values (halves) of a step, and room to align.
constexpr int64_t tile_attention_floats(int64_t head_dim) {
  return kTileQueries * head_dim * 2 + 2 * partial_floats(kTileQueries, head_dim) +
         7 * kTileQueries + 4 * kTileKeys * 16 + kTileKeys * (head_dim / 2 * 5 + 1) +
         16 * head_dim + 16;
}

}  // namespace inferneo::kernels
