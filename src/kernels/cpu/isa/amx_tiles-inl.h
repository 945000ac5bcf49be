// AMX tiles: the configuration that all kernels of the AMX tables use, and products of halves.
// Included inside the anonymous namespace and target region of a table.
//
// A tile has 16 rows of 64 bytes. A product adds to a tile of 16 x 16 f32 sums: the first operand
// holds 16 rows of 32 elements, the second 16 rows of pairs of elements: [k / 2][16 columns][2].

constexpr int kTile = 16;   // rows of any tile
constexpr int kStepK = 32;  // elements of k in a tile
constexpr int kTileElements = kTile * kStepK;
constexpr int64_t kTileBytes = 1024;

// Spec: Intel SDM vol. 1, 18.3 (tile configuration, palette 1).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Why constant memory: _tile_loadconfig tells GCC of its first eight bytes only, so stores to the
// rest of a local variable would be dropped.
constexpr TileConfig kTileConfig;

// sums += a * b of f16 elements: TDPFP16PS; of bf16: TDPBF16PS. Denormal f16 elements keep their
// value; denormal sums become zero. Why bytes: GCC 12 and clang 14 have no name for the first, and
// GCC makes text of the arguments of its name for the second.
// Spec: Intel ISA extensions reference, VEX.128.F2 and VEX.128.F3, 0F38.W0 5C 11:rrr:bbb.
template <int sums, int a, int b>
[[maybe_unused]] static inline void tile_product_f16() {
  asm volatile(".byte 0xc4, 0xe2, %c0, 0x5c, %c1"
               :
               : "i"(((~b & 15) << 3) | 3), "i"(0xc0 | (sums << 3) | a));
}

template <int sums, int a, int b>
[[maybe_unused]] static inline void tile_product_bf16() {
  asm volatile(".byte 0xc4, 0xe2, %c0, 0x5c, %c1"
               :
               : "i"(((~b & 15) << 3) | 2), "i"(0xc0 | (sums << 3) | a));
}

// A tile from 16 rows of 64 bytes. Why not the intrinsic: GCC makes text of its argument.
template <int tile>
[[maybe_unused]] static inline void tile_load(const void* rows) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"((int64_t)64), "i"(tile));
}

// Between vectors and tiles that touch the same memory. Why: the compiler does not know what tile
// loads and stores touch.
static inline void tile_memory_fence() { asm volatile("" ::: "memory"); }
