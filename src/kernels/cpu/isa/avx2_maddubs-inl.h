// Products of bytes by vpmaddubsw, which adds pairs of them in 16 bits. Included in a namespace of
// its own after avx2_codes-inl.h.

template <typename Format>
struct CodesLines {
  // Halves are at most 15, so pairs stay below 2^15 as they are. Other codes become signed, and
  // their signs go over to the input: 2 * 128 * 127 is below 2^15, too.
  static constexpr bool kIsUnsigned = Format::kBits == 4 && !Format::kHasCodebook;
  static constexpr float kUnit = 1;

  explicit CodesLines(const int8_t* codebook) : table(_mm256_setzero_si256()) {
    if constexpr (Format::kHasCodebook) {
      table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)codebook));
    }
  }

  void read(const uint8_t* codes, int part, ByteVec* first, ByteVec* second) const {
    if constexpr (Format::kBits == 8) {
      const ByteVec upper = _mm256_set1_epi8((char)0x80);
      *first = _mm256_xor_si256(load_bytes(codes + part * 32), upper);
      *second = _mm256_xor_si256(load_bytes(codes + kLineBytes + part * 32), upper);
    } else {
      read_halves(codes + part * 32, first, second);
    }
    if constexpr (Format::kHasCodebook) {
      *first = _mm256_shuffle_epi8(table, *first);
      *second = _mm256_shuffle_epi8(table, *second);
    }
  }
  static IntVec start(int32_t offset) {
    // 8 of the 128 that the offset counts.
    return kIsUnsigned && !Format::kHasMin ? spread(offset / 16) : _mm256_setzero_si256();
  }
  static IntVec dot(IntVec sum, ByteVec w, ByteVec x) {
    const __m256i pairs = kIsUnsigned
                              ? _mm256_maddubs_epi16(w, x)
                              : _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }

  ByteVec table;
};

struct BytesStep {
  using X = int8_t;
  using XStep = __m256i;
  static constexpr int64_t kStep = 4 * kLanes;
  static inline XStep load_x(const int8_t* p) { return load_bytes((const uint8_t*)p); }
  static inline Vec dot(Vec sum, XStep x, XStep w) {
    const __m256i four = _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1));
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), four));
  }
};
