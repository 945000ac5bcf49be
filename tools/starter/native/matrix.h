// Products of bfloat16 matrices with float32 sums, and the layouts of their operands.
//
// Everything is built of blocks of 1 KB, the size of an AMX tile:
//   left tile   16 rows x 32 columns, row by row; 32 columns are summed over
//   right tile  32 rows x 16 columns, rows in pairs: word (p, c) holds rows 2p and 2p+1 of column c
// A left tile, seen as 16 x 16 words and transposed, is the right tile of the transposed matrix.
// "Panels" of a matrix (k, n) are its right tiles, column of tiles after column of tiles; "tiles"
// of a matrix (m, k) are its left tiles, row of tiles after row of tiles. A panel of k rows takes
// panel_step(k) values.
//
// Thread: any; each thread that calls multiply() has called prepare_thread() once.
#pragma once

#include <cstddef>

#include "numbers.h"

namespace starter {

// Rows that are written as bfloat16 have this many values between them: the extra 64 bytes keep
// rows of a power of two off the same cache set.
constexpr size_t row_step(size_t columns) { return columns + 32; }
constexpr size_t panel_step(size_t k) { return 16 * k + 32; }

struct Left {
  const Bf16* data;
  size_t row;       // values from one row of a tile to the next
  size_t tile_row;  // values from one row of tiles to the next
  size_t tile;      // values from one tile of a row to the next
};

struct Right {
  const Bf16* data;
  size_t panel;  // values from one panel to the next
};

// A matrix (m, k) stored by rows, `step` values from row to row.
inline Left left_rows(const Bf16* rows, size_t step) { return {rows, step, 16 * step, 32}; }

// A matrix (m, k) stored as tiles whose rows of tiles are `step` values apart.
inline Left left_tiles(const Bf16* tiles, size_t step) { return {tiles, 32, step, 512}; }

// Asks the kernel for the tile registers and configures them for the calling thread.
void prepare_thread();

// Whether this build computes products in AMX tiles and the machine and kernel grant them.
// False where the build uses them and the machine lacks them: then nothing here may be called.
bool machine_fits();

// out (m, n) = left (m, k) * right (k, n), added to out when `accumulate`.
// m, n: multiples of 16; k: of 32. `step`: values from row to row of out.
void multiply(
    Left left, Right right, size_t m, size_t n, size_t k, float* out, size_t step, bool accumulate);

// Writes rows 2p and 2p+1 (n values each, n a multiple of 16) into panels; `panels` points at the
// line of pair p in the first panel.
void store_pair(const float* even, const float* odd, size_t n, Bf16* panels, size_t step);

// Writes n float32 values as bfloat16.
void store_row(const float* values, size_t n, Bf16* row);

// Turns panels of a matrix (k, n) into the tiles of its transpose (n, k), or back, in place.
void transpose_blocks(Bf16* panels, size_t step, size_t n, size_t k);

// Writes a matrix (n, k) of bfloat16 rows as the panels of its transpose (k, n).
void rows_to_transposed_panels(
    const Bf16* rows, size_t rows_step, size_t n, size_t k, Bf16* panels, size_t step);

// Writes a matrix (k, n) of bfloat16 rows as panels.
void rows_to_panels(
    const Bf16* rows, size_t rows_step, size_t k, size_t n, Bf16* panels, size_t step);

// out (columns, rows) = the transpose of values (rows, columns); both multiples of 16.
void transpose(const float* values, size_t rows, size_t columns, float* out);

}  // namespace starter
