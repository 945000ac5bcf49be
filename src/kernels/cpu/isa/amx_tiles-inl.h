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

// sums += a * b of f16 elements: TDPFP16PS. Why bytes: GCC 12 and clang 14 have no name for it.
// Denormal elements keep their value; denormal sums become zero.
// Spec: Intel ISA extensions reference, VEX.128.F2.0F38.W0 5C 11:rrr:bbb.
template <int sums, int a, int b>
static inline void tile_product_f16() {
  asm volatile(".byte 0xc4, 0xe2, %c0, 0x5c, %c1"
               :
               : "i"(((~b & 15) << 3) | 3), "i"(0xc0 | (sums << 3) | a));
}

// Keeps the tile unit busy on registers alone; the rates of bf16 and f16 are the same.
[[maybe_unused]] static double spin_amx_f16(int64_t rounds) noexcept {
  _tile_loadconfig(&kTileConfig);
  for (int64_t i = 0; i < rounds; ++i) {
    tile_product_f16<0, 4, 6>();
    tile_product_f16<1, 4, 7>();
    tile_product_f16<2, 5, 6>();
    tile_product_f16<3, 5, 7>();
  }
  _tile_release();
  return 4.0 * 2 * kTile * kTile * kStepK * (double)rounds;
}
