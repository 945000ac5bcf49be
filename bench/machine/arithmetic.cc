#include "arithmetic.h"

#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace inferneo::bench {
namespace {

#if defined(__x86_64__)

// Sixteen accumulators: more than latency times throughput of any of these instructions.
#define INFERNEO_SIXTEEN(op)                                                                     \
  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
      op(15)
#define INFERNEO_CLOBBERS                                                                  \
  "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10", \
      "zmm11", "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "cc"
#define INFERNEO_CLEAR(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define INFERNEO_LOOP(function, instruction)                                        \
  __attribute__((target("avx512f"), noinline)) void function(std::int64_t rounds) { \
    asm volatile(INFERNEO_SIXTEEN(INFERNEO_CLEAR) INFERNEO_CLEAR(16)                \
                     INFERNEO_CLEAR(17) "1:\n\t" INFERNEO_SIXTEEN(instruction)      \
                         INFERNEO_SIXTEEN(instruction) "dec %0\n\tjnz 1b\n\t"       \
                 : "+r"(rounds)                                                     \
                 :                                                                  \
                 : INFERNEO_CLOBBERS);                                              \
  }
constexpr double kPerRound = 32;

#define INFERNEO_FMA(n) "vfmadd231ps %%zmm16, %%zmm17, %%zmm" #n "\n\t"
#define INFERNEO_BF16_DOT(n) "vdpbf16ps %%zmm16, %%zmm17, %%zmm" #n "\n\t"
#define INFERNEO_INT8_DOT(n) "vpdpbusd %%zmm16, %%zmm17, %%zmm" #n "\n\t"
INFERNEO_LOOP(spin_fma, INFERNEO_FMA)
INFERNEO_LOOP(spin_bf16_dot, INFERNEO_BF16_DOT)
INFERNEO_LOOP(spin_int8_dot, INFERNEO_INT8_DOT)

struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Why a constant: the intrinsic tells the compiler only of the first bytes that it reads.
constexpr TileConfig kTileConfig;

// What tiles multiply. Why noise and not zeros: operands may change the clock (those of tiles of
// f16 do), and no model is made of zeros.
struct alignas(64) TileNoise {
  // Of each 16 random bits those of `mask` are kept and those of `ones` set.
  TileNoise(std::uint16_t mask, std::uint16_t ones) {
    std::uint32_t state = 1;
    for (auto& tile : tiles) {
      for (std::uint16_t& element : tile) {
        state = state * 1664525 + 1013904223;  // Numerical Recipes, 7.1
        element = static_cast<std::uint16_t>(((state >> 16) & mask) | ones);
      }
    }
  }
  std::uint16_t tiles[4][512];
};
TileNoise bf16_noise() { return {0x80ff, 0x3f00}; }  // both signs of 0.5 to 2
TileNoise int8_noise() { return {0xffff, 0}; }

// As in a matrix product, two tiles of one matrix meet two of the other; four that accumulate are
// enough for the unit never to wait for its own result.
#define INFERNEO_TILE_LOOP(function, noise, instruction, feature)                             \
  __attribute__((target("amx-tile," feature), noinline)) void function(std::int64_t rounds) { \
    const TileNoise operands = noise();                                                       \
    _tile_loadconfig(&kTileConfig);                                                           \
    _tile_loadd(4, operands.tiles[0], 64);                                                    \
    _tile_loadd(5, operands.tiles[1], 64);                                                    \
    _tile_loadd(6, operands.tiles[2], 64);                                                    \
    _tile_loadd(7, operands.tiles[3], 64);                                                    \
    for (std::int64_t i = 0; i < rounds; ++i) {                                               \
      instruction(0, 4, 6);                                                                   \
      instruction(1, 4, 7);                                                                   \
      instruction(2, 5, 6);                                                                   \
      instruction(3, 5, 7);                                                                   \
    }                                                                                         \
    _tile_release();                                                                          \
  }
constexpr double kTilesPerRound = 4;
INFERNEO_TILE_LOOP(spin_bf16_tiles, bf16_noise, _tile_dpbf16ps, "amx-bf16")
INFERNEO_TILE_LOOP(spin_int8_tiles, int8_noise, _tile_dpbssd, "amx-int8")

// Spec: Intel SDM, CPUID leaf 7: AMX-BF16 is EDX bit 22, AMX-INT8 bit 25. Linux hands out the tile
// registers on request only (arch_prctl ARCH_REQ_XCOMP_PERM of component 18).
bool tiles_usable() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBits = (1U << 22) | (1U << 25);
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return (d & kBits) == kBits && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::vector<ArithmeticLoop> usable_loops() {
  std::vector<ArithmeticLoop> loops;
  if (__builtin_cpu_supports("avx512f")) {
    loops.push_back({"f32_fma", kPerRound * 16 * 2, spin_fma});
  }
  if (__builtin_cpu_supports("avx512bf16")) {
    loops.push_back({"bf16_dot", kPerRound * 32 * 2, spin_bf16_dot});
  }
  if (__builtin_cpu_supports("avx512vnni")) {
    loops.push_back({"int8_dot", kPerRound * 64 * 2, spin_int8_dot});
  }
  if (tiles_usable()) {
    loops.push_back({"bf16_tiles", kTilesPerRound * 16 * 16 * 32 * 2, spin_bf16_tiles});
    loops.push_back({"int8_tiles", kTilesPerRound * 16 * 16 * 64 * 2, spin_int8_tiles});
  }
  return loops;
}

#else

std::vector<ArithmeticLoop> usable_loops() { return {}; }

#endif

}  // namespace

std::span<const ArithmeticLoop> arithmetic_loops() {
  static const std::vector<ArithmeticLoop> loops = usable_loops();
  return loops;
}

}  // namespace inferneo::bench
