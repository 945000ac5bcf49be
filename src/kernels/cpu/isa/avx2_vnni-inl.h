// Products of bytes by the dot product vpdpbusd of 256 bits, whose first operand is unsigned: the
// weights, plus 128, which the offset of an input block takes off again. Included in a namespace of
// its own after avx2_codes-inl.h.

template <typename Format>
struct CodesLines {
  static constexpr bool kIsHalf = Format::kBits == 4 && !Format::kHasCodebook;
  static constexpr float kUnit = 1;

  explicit CodesLines(const int8_t* codebook) : table(_mm256_setzero_si256()) {
    if constexpr (Format::kHasCodebook) {
      const __m128i codes = _mm_loadu_si128((const __m128i*)codebook);
      table = _mm256_broadcastsi128_si256(_mm_xor_si128(codes, _mm_set1_epi8((char)0x80)));
    }
  }

  void read(const uint8_t* codes, int part, ByteVec* first, ByteVec* second) const {
    if constexpr (Format::kBits == 8) {
      *first = load_bytes(codes + part * 32);
      *second = load_bytes(codes + kLineBytes + part * 32);
    } else {
      read_halves(codes + part * 32, first, second);
    }
    if constexpr (Format::kHasCodebook) {
      *first = _mm256_shuffle_epi8(table, *first);
      *second = _mm256_shuffle_epi8(table, *second);
    }
  }
  static IntVec start(int32_t offset) {
    if constexpr (!kIsHalf) return spread(offset);
    // 8 of the 128 that the offset counts, where halves are codes plus 8.
    return Format::kHasMin ? _mm256_setzero_si256() : spread(offset / 16);
  }
  static IntVec dot(IntVec sum, ByteVec w, ByteVec x) { return _mm256_dpbusd_avx_epi32(sum, w, x); }

  ByteVec table;
};

struct BytesStep {
  using X = int8_t;
  using XStep = __m256i;
  static constexpr int64_t kStep = 4 * kLanes;
  static inline XStep load_x(const int8_t* p) { return load_bytes((const uint8_t*)p); }
  static inline Vec dot(Vec sum, XStep x, XStep w) {
    return _mm256_castsi256_ps(_mm256_dpbusd_avx_epi32(_mm256_castps_si256(sum), x, w));
  }
};
