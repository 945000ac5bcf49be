// AVX2 with FMA and F16C: 8 lanes, bf16 widened to f32 in registers.
#if defined(__x86_64__)

#include "kernels/cpu/isa/x86_intrinsics.h"

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/codes_pack.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

INFERNEO_TARGET_BEGIN("avx2,fma,f16c")

namespace inferneo::kernels {
namespace {

using Vec = __m256;

constexpr int kLanes = 8;
constexpr int kTileRows = 3;      // 3 x 4 sums, 3 operands and 1 spare fill the 16 registers
constexpr int64_t kBlock = 1024;  // elements of k per partial sum; 3 f32 rows stay in L1
constexpr int kScoreVectors = 2;
constexpr int kAttendRows = 4;

static inline Vec zero() { return _mm256_setzero_ps(); }
static inline Vec set(float x) { return _mm256_set1_ps(x); }
static inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
static inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
static inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
static inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
static inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
static inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
static inline Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
// Lanes 1 0 3 2 ...
static inline Vec swap_pairs(Vec v) { return _mm256_permute_ps(v, 0xb1); }

// Lanes below count are all ones.
static inline __m256i lane_mask(int64_t count) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lanes);
}
static inline Vec load_part(const float* p, int64_t count) {
  return _mm256_maskload_ps(p, lane_mask(count));
}
static inline void store_part(float* p, Vec v, int64_t count) {
  _mm256_maskstore_ps(p, lane_mask(count), v);
}
static inline Vec keep_first(Vec v, int count, Vec rest) {
  return _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(lane_mask(count)));
}

static inline Vec from_bf16(__m128i halves) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
static inline Vec load_bf16(const Bf16* p) { return from_bf16(_mm_loadu_si128((const __m128i*)p)); }
static inline Vec load_f16(const F16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
}
// Up to 8 two-byte elements, then zeros.
static inline __m128i load_halves(const uint16_t* p, int64_t count) {
  uint16_t buffer[8] = {};
  __builtin_memcpy(buffer, p, (size_t)count * sizeof(uint16_t));
  return _mm_loadu_si128((const __m128i*)buffer);
}
static inline Vec load_bf16_part(const Bf16* p, int64_t count) {
  return from_bf16(load_halves(p, count));
}
static inline Vec load_f16_part(const F16* p, int64_t count) {
  return _mm256_cvtph_ps(load_halves(p, count));
}

static inline Vec load_i8(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)));
}
static inline Vec load_i8_part(const int8_t* p, int64_t count) {
  int8_t buffer[8] = {};
  __builtin_memcpy(buffer, p, (size_t)count);
  return load_i8(buffer);
}

// Round to nearest even by adding half of the last place that stays.
static inline void store_bf16(Bf16* p, Vec v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
  const __m256i packed = _mm256_packus_epi32(upper, upper);
  const __m256i ordered = _mm256_permute4x64_epi64(packed, 0x08);
  _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(ordered));
}

static inline void store_f16(F16* p, Vec v) {
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline Vec round_nearest(Vec v) {
  return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// v * 2^n for whole n in [-160, 160], in two factors so that neither leaves the exponent range.
static inline Vec scale_by_power_of_two(Vec v, Vec n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i rest = _mm256_sub_epi32(whole, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const Vec a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const Vec b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return mul(mul(v, a), b);
}

// Sums of the lanes of four vectors: lane i + lane i + 4, then i + 2, then i + 1.
static inline void reduce_add4(Vec a, Vec b, Vec c, Vec d, float* sums) {
  __m128 s0 = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  __m128 s1 = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  __m128 s2 = _mm_add_ps(_mm256_castps256_ps128(c), _mm256_extractf128_ps(c, 1));
  __m128 s3 = _mm_add_ps(_mm256_castps256_ps128(d), _mm256_extractf128_ps(d, 1));
  _MM_TRANSPOSE4_PS(s0, s1, s2, s3);
  _mm_storeu_ps(sums, _mm_add_ps(_mm_add_ps(s0, s2), _mm_add_ps(s1, s3)));
}

static inline float reduce_max(Vec v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline void transpose(Vec (&r)[kLanes]) {
  Vec t[8];
  INFERNEO_UNROLL
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  Vec u[8];
  INFERNEO_UNROLL
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  INFERNEO_UNROLL
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/codes_layout-inl.h"

#include "kernels/cpu/isa/avx2_codes-inl.h"

namespace maddubs {

#include "kernels/cpu/isa/avx2_maddubs-inl.h"

#include "kernels/cpu/codes_linear-inl.h"

#include "kernels/cpu/codes_ops-inl.h"

}  // namespace maddubs

INFERNEO_TARGET_BEGIN("avx2,fma,f16c,avxvnni")

namespace vnni {

#include "kernels/cpu/isa/avx2_vnni-inl.h"

#include "kernels/cpu/codes_linear-inl.h"

#include "kernels/cpu/codes_ops-inl.h"

#include "kernels/cpu/spin-inl.h"

}  // namespace vnni

INFERNEO_TARGET_END

}  // namespace

// The tables differ in how they multiply bytes.
constinit const KernelTable kAvx2Table =
    generic_table("avx2", maddubs::codes_matrix_ops, spin<maddubs::BytesStep>);
constinit const KernelTable kAvx2VnniTable =
    generic_table("avx2_vnni", vnni::codes_matrix_ops, vnni::spin<vnni::BytesStep>);

}  // namespace inferneo::kernels

INFERNEO_TARGET_END

#endif
