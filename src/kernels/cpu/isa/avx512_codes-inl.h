// Matrices of codes by the AVX-512 dot product of bytes vpdpbusd, whose first operand is unsigned:
// the weights, plus 128, which the offset of an input block takes off again. Included after the
// primitives of AVX-512 and codes_layout-inl.h.

using IntVec = __m512i;
using ByteVec = __m512i;

constexpr int kTileTokens = 6;  // 6 x 2 sums of each kind and 5 operands of the 32 registers
constexpr int kTilePanels = 2;
constexpr int kTileSums = 12;
constexpr int kStreamSums = 16;

static inline IntVec spread(int32_t x) { return _mm512_set1_epi32(x); }
static inline ByteVec spread_four(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return _mm512_set1_epi32(four);
}
static inline Vec to_float(IntVec v) { return _mm512_cvtepi32_ps(v); }
static inline ByteVec load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
static inline void store_bytes(uint8_t* p, ByteVec v) { _mm512_storeu_si512(p, v); }

template <typename Format>
struct CodesLines {
  static constexpr bool kIsPlain = Format::kBits == 4 && Format::kHasMin;
  static constexpr bool kIsHalf = Format::kBits == 4 && !Format::kHasMin && !Format::kHasCodebook;
  // Why 16: a half of 4 bits stays in the upper half of its byte, and 16 * 8 is the offset of 8-bit
  // codes.
  static constexpr float kUnit = kIsHalf ? 16 : 1;

  explicit CodesLines(const int8_t* codebook) : table(_mm512_setzero_si512()) {
    if constexpr (Format::kHasCodebook) {
      const __m128i codes = _mm_loadu_si128((const __m128i*)codebook);
      table = _mm512_xor_si512(_mm512_broadcast_i32x4(codes), _mm512_set1_epi8((char)0x80));
    }
  }

  void read(const uint8_t* codes, int /*part*/, ByteVec* first, ByteVec* second) const {
    const ByteVec line = load_bytes(codes);
    if constexpr (Format::kBits == 8) {
      *first = line;
      *second = load_bytes(codes + kLineBytes);
    } else if constexpr (kIsHalf) {
      const ByteVec upper = _mm512_set1_epi8((char)0xf0);
      *first = _mm512_and_si512(_mm512_slli_epi32(line, 4), upper);
      *second = _mm512_and_si512(line, upper);
    } else {
      const ByteVec lower = _mm512_set1_epi8(0x0f);
      *first = _mm512_and_si512(line, lower);
      *second = _mm512_and_si512(_mm512_srli_epi32(line, 4), lower);
      if constexpr (Format::kHasCodebook) {
        *first = _mm512_shuffle_epi8(table, *first);
        *second = _mm512_shuffle_epi8(table, *second);
      }
    }
  }
  static IntVec start(int32_t offset) { return kIsPlain ? _mm512_setzero_si512() : spread(offset); }
  static IntVec dot(IntVec sum, ByteVec w, ByteVec x) { return _mm512_dpbusd_epi32(sum, w, x); }

  ByteVec table;
};

static inline void quantize_block(const float* x, InputBlock* block) {
  constexpr float kTiny = 0x1p-100F;  // below it 127 / largest could overflow
  const Vec a = load(x);
  const Vec b = load(x + kLanes);
  // Magnitudes compare as integers do, and infinities and NaNs are larger than any number.
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  const int32_t top = _mm512_reduce_max_epi32(
      _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), magnitude),
                       _mm512_and_si512(_mm512_castps_si512(b), magnitude)));
  float largest;
  __builtin_memcpy(&largest, &top, sizeof(largest));
  const bool is_finite = top < 0x7f800000;
  if (!is_finite || largest < kTiny) {
    __builtin_memset(block, 0, sizeof(*block));
    if (!is_finite) block->scale = __builtin_nanf("");
    return;
  }
  const Vec inverse = set(127 / largest);
  // To the nearest, ties to even: the rounding mode of the processor.
  const __m512i codes_a = _mm512_cvtps_epi32(mul(a, inverse));
  const __m512i codes_b = _mm512_cvtps_epi32(mul(b, inverse));
  _mm_storeu_si128((__m128i*)block->codes, _mm512_cvtepi32_epi8(codes_a));
  _mm_storeu_si128((__m128i*)(block->codes + kLanes), _mm512_cvtepi32_epi8(codes_b));
  block->scale = largest / 127;
  block->half_offsets[0] = -128 * _mm512_reduce_add_epi32(codes_a);
  block->half_offsets[1] = -128 * _mm512_reduce_add_epi32(codes_b);
  block->offset = block->half_offsets[0] + block->half_offsets[1];
}

struct BytesStep {
  using X = int8_t;
  using XStep = __m512i;
  static constexpr int64_t kStep = 4 * kLanes;
  static inline XStep load_x(const int8_t* p) { return _mm512_loadu_si512(p); }
  static inline Vec dot(Vec sum, XStep x, XStep w) {
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum), x, w));
  }
};
