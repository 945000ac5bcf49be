// Vector primitives of AVX-512 F, BW, VL and DQ: 16 lanes. Included inside the anonymous namespace
// and target region of each table that builds on them.

using Vec = __m512;

constexpr int kLanes = 16;
constexpr int kTileRows = 6;      // 6 x 4 sums and 5 operands of the 32 registers
constexpr int64_t kBlock = 2048;  // elements of k per partial sum; 6 bf16 rows stay in L1
constexpr int kScoreVectors = 4;
constexpr int kAttendRows = 4;

static inline Vec zero() { return _mm512_setzero_ps(); }
static inline Vec set(float x) { return _mm512_set1_ps(x); }
static inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
static inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
static inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
static inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
static inline Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
static inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
static inline Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
// Lanes 1 0 3 2 ...
static inline Vec swap_pairs(Vec v) { return _mm512_permute_ps(v, 0xb1); }

static inline __mmask16 lane_mask(int64_t count) { return (__mmask16)((1U << count) - 1U); }
static inline Vec load_part(const float* p, int64_t count) {
  return _mm512_maskz_loadu_ps(lane_mask(count), p);
}
static inline void store_part(float* p, Vec v, int64_t count) {
  _mm512_mask_storeu_ps(p, lane_mask(count), v);
}
static inline Vec keep_first(Vec v, int count, Vec rest) {
  return _mm512_mask_blend_ps(lane_mask(count), rest, v);
}

static inline Vec from_bf16(__m256i halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
static inline Vec load_bf16(const Bf16* p) {
  return from_bf16(_mm256_loadu_si256((const __m256i*)p));
}
static inline Vec load_bf16_part(const Bf16* p, int64_t count) {
  return from_bf16(_mm256_maskz_loadu_epi16(lane_mask(count), p));
}
static inline Vec load_f16(const F16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
}
static inline Vec load_f16_part(const F16* p, int64_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lane_mask(count), p));
}

static inline Vec load_i8(const int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)));
}
static inline Vec load_i8_part(const int8_t* p, int64_t count) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lane_mask(count), p)));
}

// Round to nearest even by adding half of the last place that stays. Why not vcvtneps2bf16: it
// flushes denormals.
static inline void store_bf16(Bf16* p, Vec v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i chosen = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(chosen, 16)));
}

static inline void store_f16(F16* p, Vec v) {
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline Vec round_nearest(Vec v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline Vec scale_by_power_of_two(Vec v, Vec n) { return _mm512_scalef_ps(v, n); }

// Sums of the lanes of four vectors: lane i + lane i + 8, then i + 4, then i + 2, then i + 1.
static inline void reduce_add4(Vec a, Vec b, Vec c, Vec d, float* sums) {
  // Each 256-bit half of ab is a pair sum of a or b; each 128-bit quarter of abcd belongs to one.
  const Vec ab = add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  const Vec cd = add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
  const Vec abcd = add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
  __m128 s0 = _mm512_castps512_ps128(abcd);
  __m128 s1 = _mm512_extractf32x4_ps(abcd, 1);
  __m128 s2 = _mm512_extractf32x4_ps(abcd, 2);
  __m128 s3 = _mm512_extractf32x4_ps(abcd, 3);
  _MM_TRANSPOSE4_PS(s0, s1, s2, s3);
  _mm_storeu_ps(sums, _mm_add_ps(_mm_add_ps(s0, s2), _mm_add_ps(s1, s3)));
}

static inline float reduce_max(Vec v) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline void transpose(Vec (&r)[kLanes]) {
  Vec t[16];
  INFERNEO_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  Vec u[16];
  INFERNEO_UNROLL
  for (int i = 0; i < 16; i += 4) {
    u[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  // u[4 g + c] holds in quarter q the elements of column 4 q + c and rows 4 g .. 4 g + 3.
  INFERNEO_UNROLL
  for (int c = 0; c < 4; ++c) {
    const Vec lo01 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88);
    const Vec hi01 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd);
    const Vec lo23 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88);
    const Vec hi23 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
    r[c] = _mm512_shuffle_f32x4(lo01, lo23, 0x88);
    r[8 + c] = _mm512_shuffle_f32x4(lo01, lo23, 0xdd);
    r[4 + c] = _mm512_shuffle_f32x4(hi01, hi23, 0x88);
    r[12 + c] = _mm512_shuffle_f32x4(hi01, hi23, 0xdd);
  }
}
