// Matrices of codes on AVX2: parts that do not depend on how bytes are multiplied. Included after
// the primitives of AVX2 and codes_layout-inl.h.

using IntVec = __m256i;
using ByteVec = __m256i;

constexpr int kTileTokens = 3;  // 3 x 2 sums of each kind; half of them wait in memory
constexpr int kTilePanels = 1;
constexpr int kTileSums = 8;
constexpr int kStreamSums = 4;

static inline IntVec spread(int32_t x) { return _mm256_set1_epi32(x); }
static inline ByteVec spread_four(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return _mm256_set1_epi32(four);
}
static inline Vec to_float(IntVec v) { return _mm256_cvtepi32_ps(v); }
static inline ByteVec load_bytes(const uint8_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
static inline void store_bytes(uint8_t* p, ByteVec v) { _mm256_storeu_si256((__m256i*)p, v); }

// The halves of a line of 4-bit codes.
static inline void read_halves(const uint8_t* codes, ByteVec* first, ByteVec* second) {
  const ByteVec lower = _mm256_set1_epi8(0x0f);
  const ByteVec line = load_bytes(codes);
  *first = _mm256_and_si256(line, lower);
  *second = _mm256_and_si256(_mm256_srli_epi32(line, 4), lower);
}

static inline __m128i add_halves(__m256i v) {
  return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
static inline int32_t sum_of(__m256i v) {
  __m128i sum = add_halves(v);
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

static inline void quantize_block(const float* x, InputBlock* block) {
  constexpr float kTiny = 0x1p-100F;  // below it 127 / largest could overflow
  // Magnitudes compare as integers do, and infinities and NaNs are larger than any number.
  __m256i magnitudes = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    const __m256i v = _mm256_loadu_si256((const __m256i*)(x + i * kLanes));
    const __m256i magnitude = _mm256_and_si256(v, _mm256_set1_epi32(0x7fffffff));
    magnitudes = _mm256_max_epi32(magnitudes, magnitude);
  }
  __m128i most =
      _mm_max_epi32(_mm256_castsi256_si128(magnitudes), _mm256_extracti128_si256(magnitudes, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
  const int32_t top = _mm_cvtsi128_si32(most);
  float largest;
  __builtin_memcpy(&largest, &top, sizeof(largest));
  const bool is_finite = top < 0x7f800000;
  if (!is_finite || largest < kTiny) {
    __builtin_memset(block, 0, sizeof(*block));
    if (!is_finite) block->scale = __builtin_nanf("");
    return;
  }
  const Vec inverse = set(127 / largest);
  __m256i codes[4];
  for (int i = 0; i < 4; ++i) {
    // To the nearest, ties to even: the rounding mode of the processor.
    codes[i] = _mm256_cvtps_epi32(mul(load(x + i * kLanes), inverse));
  }
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]),
                                           _mm256_packs_epi32(codes[2], codes[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256((__m256i*)block->codes, _mm256_permutevar8x32_epi32(bytes, order));
  block->scale = largest / 127;
  block->half_offsets[0] = -128 * sum_of(_mm256_add_epi32(codes[0], codes[1]));
  block->half_offsets[1] = -128 * sum_of(_mm256_add_epi32(codes[2], codes[3]));
  block->offset = block->half_offsets[0] + block->half_offsets[1];
}
