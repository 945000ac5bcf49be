// NEON of the base ARMv8 architecture: 4 lanes, bf16 widened to f32 in registers.
#if defined(__aarch64__)

#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cpu/attention_shape.h"
#include "kernels/cpu/codes_pack.h"
#include "kernels/cpu/isa/isa_tables.h"
#include "kernels/cpu/isa/target_region.h"
#include "kernels/kernel_table.h"

// No target region: NEON is the baseline of this architecture.
namespace inferneo::kernels {
namespace {

using Vec = float32x4_t;

constexpr int kLanes = 4;
constexpr int kTileRows = 5;      // 5 x 4 sums and 9 operands of the 32 registers
constexpr int64_t kBlock = 1024;  // elements of k per partial sum; 5 f32 rows stay in L1
constexpr int kScoreVectors = 4;
constexpr int kAttendRows = 4;

static inline Vec zero() { return vdupq_n_f32(0); }
static inline Vec set(float x) { return vdupq_n_f32(x); }
static inline Vec load(const float* p) { return vld1q_f32(p); }
static inline void store(float* p, Vec v) { vst1q_f32(p, v); }
static inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
static inline Vec sub(Vec a, Vec b) { return vsubq_f32(a, b); }
static inline Vec mul(Vec a, Vec b) { return vmulq_f32(a, b); }
static inline Vec div(Vec a, Vec b) { return vdivq_f32(a, b); }
static inline Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
static inline Vec min(Vec a, Vec b) { return vminq_f32(a, b); }
static inline Vec max(Vec a, Vec b) { return vmaxq_f32(a, b); }
// Lanes 1 0 3 2
static inline Vec swap_pairs(Vec v) { return vrev64q_f32(v); }

static inline Vec load_part(const float* p, int64_t count) {
  float buffer[4] = {};
  __builtin_memcpy(buffer, p, (size_t)count * sizeof(float));
  return load(buffer);
}
static inline void store_part(float* p, Vec v, int64_t count) {
  float buffer[4];
  store(buffer, v);
  __builtin_memcpy(p, buffer, (size_t)count * sizeof(float));
}
static inline Vec keep_first(Vec v, int count, Vec rest) {
  const int32_t indices[4] = {0, 1, 2, 3};
  return vbslq_f32(vcltq_s32(vld1q_s32(indices), vdupq_n_s32(count)), v, rest);
}

static inline Vec from_bf16(uint16x4_t halves) {
  return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}
static inline Vec from_f16(uint16x4_t halves) { return vcvt_f32_f16(vreinterpret_f16_u16(halves)); }
// Up to 4 two-byte elements, then zeros.
static inline uint16x4_t load_halves(const uint16_t* p, int64_t count) {
  uint16_t buffer[4] = {};
  __builtin_memcpy(buffer, p, (size_t)count * sizeof(uint16_t));
  return vld1_u16(buffer);
}
static inline Vec load_bf16(const Bf16* p) { return from_bf16(vld1_u16(p)); }
static inline Vec load_bf16_part(const Bf16* p, int64_t count) {
  return from_bf16(load_halves(p, count));
}
static inline Vec load_f16(const F16* p) { return from_f16(vld1_u16(p)); }
static inline Vec load_f16_part(const F16* p, int64_t count) {
  return from_f16(load_halves(p, count));
}

static inline Vec load_i8_part(const int8_t* p, int64_t count) {
  int8_t buffer[8] = {};
  __builtin_memcpy(buffer, p, (size_t)count);
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(buffer)))));
}
static inline Vec load_i8(const int8_t* p) { return load_i8_part(p, 4); }

// Round to nearest even by adding half of the last place that stays.
static inline void store_bf16(Bf16* p, Vec v) {
  const uint32x4_t bits = vreinterpretq_u32_f32(v);
  const uint32x4_t last = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(last, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  vst1_u16(p, vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16));
}

static inline void store_f16(F16* p, Vec v) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }

static inline Vec round_nearest(Vec v) { return vrndnq_f32(v); }
// v * 2^n for whole n in [-160, 160], in two factors so that neither leaves the exponent range.
static inline Vec scale_by_power_of_two(Vec v, Vec n) {
  const int32x4_t whole = vcvtq_s32_f32(n);
  const int32x4_t half = vshrq_n_s32(whole, 1);
  const int32x4_t rest = vsubq_s32(whole, half);
  const int32x4_t bias = vdupq_n_s32(127);
  const Vec a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  const Vec b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
  return mul(mul(v, a), b);
}

static inline void transpose(Vec (&r)[kLanes]) {
  const float64x2_t lo01 = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1]));
  const float64x2_t hi01 = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
  const float64x2_t lo23 = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
  const float64x2_t hi23 = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
  r[0] = vreinterpretq_f32_f64(vtrn1q_f64(lo01, lo23));
  r[1] = vreinterpretq_f32_f64(vtrn1q_f64(hi01, hi23));
  r[2] = vreinterpretq_f32_f64(vtrn2q_f64(lo01, lo23));
  r[3] = vreinterpretq_f32_f64(vtrn2q_f64(hi01, hi23));
}

// Sums of the lanes of four vectors: lane i + lane i + 2, then i + 1.
static inline void reduce_add4(Vec a, Vec b, Vec c, Vec d, float* sums) {
  Vec rows[kLanes] = {a, b, c, d};
  transpose(rows);
  store(sums, add(add(rows[0], rows[2]), add(rows[1], rows[3])));
}

static inline float reduce_max(Vec v) { return vmaxvq_f32(v); }

#include "kernels/cpu/bodies-inl.h"

#include "kernels/cpu/codes_layout-inl.h"

#include "kernels/cpu/isa/neon_codes-inl.h"

namespace multiply {

#include "kernels/cpu/isa/neon_multiply-inl.h"

#include "kernels/cpu/codes_linear-inl.h"

#include "kernels/cpu/codes_ops-inl.h"

#include "kernels/cpu/isa/neon_spin-inl.h"

}  // namespace multiply

INFERNEO_TARGET_BEGIN("arch=armv8.2-a+dotprod")

namespace dot_product {

#include "kernels/cpu/isa/neon_dot-inl.h"

#include "kernels/cpu/codes_linear-inl.h"

#include "kernels/cpu/codes_ops-inl.h"

#include "kernels/cpu/isa/neon_spin-inl.h"

#include "kernels/cpu/spin-inl.h"

}  // namespace dot_product

INFERNEO_TARGET_END

}  // namespace

// The tables differ in how they multiply bytes.
constinit const KernelTable kNeonTable =
    generic_table("neon", multiply::codes_matrix_ops, spin<multiply::BytesStep>);
constinit const KernelTable kNeonDotTable = generic_table(
    "neon_dot", dot_product::codes_matrix_ops, dot_product::spin<dot_product::BytesStep>);

}  // namespace inferneo::kernels

#endif
