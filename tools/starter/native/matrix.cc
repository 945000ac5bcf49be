#include "matrix.h"

#include <cstring>

#if defined(__AMX_BF16__) || defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(__AMX_BF16__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace starter {
namespace {

// Transposes 16 x 16 words; `from` is read before `to` is written, so both may be the same block.
#if defined(__AVX512F__)

void transpose_words(const void* from, size_t from_step, void* to, size_t to_step) {
  const auto* in = static_cast<const uint32_t*>(from);
  auto* out = static_cast<uint32_t*>(to);
  __m512i a[16];
  __m512i b[16];
  for (size_t i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(in + i * from_step);
  for (size_t i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (size_t i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  for (size_t half = 0; half < 16; half += 8) {
    for (size_t i = half; i < half + 4; ++i) {
      b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
      b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
    }
  }
  for (size_t i = 0; i < 8; ++i) {
    a[i] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88);
    a[i + 8] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd);
  }
  for (size_t i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * to_step, a[i]);
}

#else

void transpose_words(const void* from, size_t from_step, void* to, size_t to_step) {
  uint32_t words[16][16];
  for (size_t i = 0; i < 16; ++i) {
    std::memcpy(words[i], static_cast<const uint32_t*>(from) + i * from_step, sizeof words[i]);
  }
  auto* out = static_cast<uint32_t*>(to);
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 16; ++j) out[i * to_step + j] = words[j][i];
  }
}

#endif

#if defined(__AMX_BF16__)

// Two by two tiles of sums: registers 0-3 sums, 4-5 left, 6-7 right. Asks for the sums of the
// next 32 rows meanwhile: they are far apart in memory, so the processor does not guess them.
void product_32x32(const Left& left,
                   const Bf16* a,
                   const Bf16* b0,
                   const Bf16* b1,
                   size_t k,
                   float* out,
                   size_t step,
                   bool accumulate) {
  const float* next = out + 32 * step;
  const size_t next_rows = accumulate ? (32 * 32 + k - 1) / k : 0;
  const auto stride = static_cast<long>(step * sizeof(float));
  const auto a_stride = static_cast<long>(left.row * sizeof(Bf16));
  float* below = out + 16 * step;
  if (accumulate) {
    _tile_loadd(0, out, stride);
    _tile_loadd(1, out + 16, stride);
    _tile_loadd(2, below, stride);
    _tile_loadd(3, below + 16, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const Bf16* a1 = a + left.tile_row;
  for (size_t at = 0; at < k; at += 32) {
    _tile_loadd(6, b0, 64);
    _tile_loadd(4, a, a_stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b1, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a1, a_stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a += left.tile;
    a1 += left.tile;
    b0 += 512;
    b1 += 512;
    for (size_t i = 0; i < next_rows; ++i, next += step) {
      __builtin_prefetch(next);
      __builtin_prefetch(next + 16);
    }
  }
  _tile_stored(0, out, stride);
  _tile_stored(1, out + 16, stride);
  _tile_stored(2, below, stride);
  _tile_stored(3, below + 16, stride);
}

void product_16x16(const Left& left,
                   const Bf16* a,
                   const Bf16* b,
                   size_t k,
                   float* out,
                   size_t step,
                   bool accumulate) {
  const auto stride = static_cast<long>(step * sizeof(float));
  const auto a_stride = static_cast<long>(left.row * sizeof(Bf16));
  if (accumulate) {
    _tile_loadd(0, out, stride);
  } else {
    _tile_zero(0);
  }
  for (size_t at = 0; at < k; at += 32) {
    _tile_loadd(4, a, a_stride);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    a += left.tile;
    b += 512;
  }
  _tile_stored(0, out, stride);
}

#else

void product_16x16(const Left& left,
                   const Bf16* a,
                   const Bf16* b,
                   size_t k,
                   float* out,
                   size_t step,
                   bool accumulate) {
  float sums[16][16] = {};
  for (size_t at = 0; at < k; at += 32) {
    for (size_t pair = 0; pair < 16; ++pair) {
      uint32_t words[16];
      std::memcpy(words, b + pair * 32, sizeof words);
      for (size_t i = 0; i < 16; ++i) {
        const float even = from_bf16(a[i * left.row + 2 * pair]);
        const float odd = from_bf16(a[i * left.row + 2 * pair + 1]);
        for (size_t j = 0; j < 16; ++j) {
          sums[i][j] += even * std::bit_cast<float>(words[j] << 16) +
                        odd * std::bit_cast<float>(words[j] & 0xffff0000U);
        }
      }
    }
    a += left.tile;
    b += 512;
  }
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 16; ++j) {
      out[i * step + j] = sums[i][j] + (accumulate ? out[i * step + j] : 0.0F);
    }
  }
}

void product_32x32(const Left& left,
                   const Bf16* a,
                   const Bf16* b0,
                   const Bf16* b1,
                   size_t k,
                   float* out,
                   size_t step,
                   bool accumulate) {
  product_16x16(left, a, b0, k, out, step, accumulate);
  product_16x16(left, a, b1, k, out + 16, step, accumulate);
  product_16x16(left, a + left.tile_row, b0, k, out + 16 * step, step, accumulate);
  product_16x16(left, a + left.tile_row, b1, k, out + 16 * step + 16, step, accumulate);
}

#endif

// All rows [begin, end) of the left operand against one panel after the other.
void multiply_rows(const Left& left,
                   const Right& right,
                   size_t begin,
                   size_t end,
                   size_t n,
                   size_t k,
                   float* out,
                   size_t step,
                   bool accumulate) {
  const auto a_at = [&](size_t i) { return left.data + i / 16 * left.tile_row; };
  const auto b_at = [&](size_t j) { return right.data + j / 16 * right.panel; };
  const size_t even_end = begin + (end - begin) / 32 * 32;
  size_t j = 0;
  for (; j + 32 <= n; j += 32) {
    for (size_t i = begin; i < even_end; i += 32) {
      product_32x32(left, a_at(i), b_at(j), b_at(j + 16), k, out + i * step + j, step, accumulate);
    }
    if (even_end < end) {
      float* row = out + even_end * step + j;
      product_16x16(left, a_at(even_end), b_at(j), k, row, step, accumulate);
      product_16x16(left, a_at(even_end), b_at(j + 16), k, row + 16, step, accumulate);
    }
  }
  for (; j < n; j += 16) {
    for (size_t i = begin; i < end; i += 16) {
      product_16x16(left, a_at(i), b_at(j), k, out + i * step + j, step, accumulate);
    }
  }
}

}  // namespace

#if defined(__AMX_BF16__)

bool machine_fits() {
  // Spec: Linux Documentation/arch/x86/xstate.rst, ARCH_REQ_XCOMP_PERM for XTILEDATA (18).
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return __builtin_cpu_supports("avx512f") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

void prepare_thread() {
  // Spec: Intel SDM, LDTILECFG: palette, start row, 14 reserved bytes, 16 x bytes per row, 16 x
  // rows.
  struct alignas(64) {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_size[16] = {};
    uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 8; ++i) {
    config.row_size[i] = 64;
    config.rows[i] = 16;
  }
  asm volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

#else

bool machine_fits() { return true; }

void prepare_thread() {}

#endif

void multiply(Left left,
              Right right,
              size_t m,
              size_t n,
              size_t k,
              float* out,
              size_t step,
              bool accumulate) {
  // Why parts: the rows of the left operand are read again for every two panels, so they should
  // stay in the second-level cache; a quarter of its usual 2 MB leaves room for the rest.
  constexpr size_t kPartBytes = size_t{512} << 10;
  const size_t part = std::max<size_t>(32, kPartBytes / (k * sizeof(Bf16)) / 32 * 32);
  for (size_t begin = 0; begin < m; begin += part) {
    multiply_rows(left, right, begin, std::min(m, begin + part), n, k, out, step, accumulate);
  }
}

#if defined(__AVX512BF16__)

void store_pair(const float* even, const float* odd, size_t n, Bf16* panels, size_t step) {
  // Spec: VCVTNE2PS2BF16 puts the first operand's 16 values above the second's.
  alignas(64) uint16_t order[32];
  for (uint16_t i = 0; i < 16; ++i) {
    order[2 * i] = i;
    order[2 * i + 1] = static_cast<uint16_t>(16 + i);
  }
  const __m512i interleaved = _mm512_load_si512(order);
  for (size_t at = 0; at < n; at += 16) {
    const __m512bh both =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(odd + at), _mm512_loadu_ps(even + at));
    _mm512_store_si512(panels,
                       _mm512_permutexvar_epi16(interleaved, reinterpret_cast<__m512i>(both)));
    panels += step;
  }
}

void store_row(const float* values, size_t n, Bf16* row) {
  size_t at = 0;
  for (; at + 32 <= n; at += 32) {
    const __m512bh both =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(values + at + 16), _mm512_loadu_ps(values + at));
    _mm512_storeu_si512(row + at, reinterpret_cast<__m512i>(both));
  }
  for (; at < n; ++at) row[at] = to_bf16(values[at]);
}

#else

void store_pair(const float* even, const float* odd, size_t n, Bf16* panels, size_t step) {
  for (size_t at = 0; at < n; at += 16) {
    uint32_t words[16];
    for (size_t j = 0; j < 16; ++j) words[j] = bf16_pair(even[at + j], odd[at + j]);
    std::memcpy(panels, words, sizeof words);
    panels += step;
  }
}

void store_row(const float* values, size_t n, Bf16* row) {
  for (size_t i = 0; i < n; ++i) row[i] = to_bf16(values[i]);
}

#endif

void transpose_blocks(Bf16* panels, size_t step, size_t n, size_t k) {
  for (size_t j = 0; j < n; j += 16) {
    Bf16* block = panels + j / 16 * step;
    for (size_t at = 0; at < k; at += 32, block += 512) transpose_words(block, 16, block, 16);
  }
}

void rows_to_transposed_panels(
    const Bf16* rows, size_t rows_step, size_t n, size_t k, Bf16* panels, size_t step) {
  for (size_t j = 0; j < n; j += 16) {
    for (size_t at = 0; at < k; at += 32) {
      transpose_words(
          rows + j * rows_step + at, rows_step / 2, panels + j / 16 * step + at * 16, 16);
    }
  }
}

void rows_to_panels(
    const Bf16* rows, size_t rows_step, size_t k, size_t n, Bf16* panels, size_t step) {
  for (size_t pair = 0; pair < k / 2; ++pair) {
    const Bf16* even = rows + 2 * pair * rows_step;
    const Bf16* odd = even + rows_step;
    for (size_t j = 0; j < n; j += 16) {
      uint32_t words[16];
      for (size_t c = 0; c < 16; ++c) {
        words[c] = uint32_t{even[j + c]} | (uint32_t{odd[j + c]} << 16);
      }
      std::memcpy(panels + j / 16 * step + pair * 32, words, sizeof words);
    }
  }
}

void transpose(const float* values, size_t rows, size_t columns, float* out) {
  for (size_t i = 0; i < rows; i += 16) {
    for (size_t j = 0; j < columns; j += 16) {
      transpose_words(values + i * columns + j, columns, out + j * rows + i, rows);
    }
  }
}

}  // namespace starter
