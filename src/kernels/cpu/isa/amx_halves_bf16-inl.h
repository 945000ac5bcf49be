// Halves that attention multiplies where tiles are bf16: each number is the sum of its upper half
// and, rounded, that of what this leaves, which keys and values, being f16, fit exactly; others
// lose 2^-16. Why the first is cut and not rounded: it takes two instructions for a pair of
// vectors, not six, and decoding does it to every key and value anew. Included after
// amx_bf16-inl.h, before amx_attention-inl.h.

static inline __m256i to_halves(Vec v) { return (__m256i)_mm512_cvtneps_pbh(v); }
static inline Vec from_halves(__m256i halves) { return from_bf16(halves); }

// Tiles whose sum is a key or a value.
constexpr int kCacheParts = 2;

static inline bool is_broken_half(uint16_t half) { return (half & 0x7f80) == 0x7f80; }

// Numbers whose upper halves are those of a part. Of the second they are rounded half up.
template <int part>
static inline __m512i part_bits(Vec v) {
  const __m512i bits = _mm512_castps_si512(v);
  if constexpr (part == 0) return bits;
  const __m512i upper = _mm512_and_si512(bits, _mm512_set1_epi32((int)0xffff0000));
  const __m512i rest = _mm512_castps_si512(sub(v, _mm512_castsi512_ps(upper)));
  return _mm512_add_epi32(rest, _mm512_set1_epi32(0x8000));
}

template <int part>
static inline __m256i to_part(Vec v) {
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(part_bits<part>(v), 16));
}

static inline __m512i upper_halves_in_turn(__m512i a, __m512i b) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(a, 16), b);
}

// Halves of a and b in turn.
template <int part>
static inline __m512i pair_part(Vec a, Vec b) {
  return upper_halves_in_turn(part_bits<part>(a), part_bits<part>(b));
}

// A step of 32 dimensions of a query, in the order of key_part. Both parts are rounded: what a
// query loses grows with its scores.
template <int part>
static inline __m512i query_bits(Vec v) {
  const Vec first = from_halves(to_halves(v));
  return _mm512_castps_si512(part == 0 ? first : from_halves(to_halves(sub(v, first))));
}
template <int part>
static inline __m512i query_part(Vec a, Vec b) {
  return upper_halves_in_turn(query_bits<part>(a), query_bits<part>(b));
}

// A step of 32 dimensions of a key: the first half and the second in turn.
template <int part>
static inline __m512i key_part(__m512i halves) {
  return pair_part<part>(_mm512_cvtph_ps(_mm512_castsi512_si256(halves)),
                         _mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1)));
}

// Of a step of 32 dimensions of the values of two keys, one half: pairs of keys side by side.
template <int part>
static inline __m512i value_pairs(__m512i even, __m512i odd, int half) {
  if (half == 0) {
    return pair_part<part>(_mm512_cvtph_ps(_mm512_castsi512_si256(even)),
                           _mm512_cvtph_ps(_mm512_castsi512_si256(odd)));
  }
  return pair_part<part>(_mm512_cvtph_ps(_mm512_extracti64x4_epi64(even, 1)),
                         _mm512_cvtph_ps(_mm512_extracti64x4_epi64(odd, 1)));
}
// The dimension that pair i of a half belongs to, and where it is among the pairs of both halves.
static inline int64_t pair_dimension(int half, int i) { return half * kTile + i; }
static inline int64_t pair_column(int64_t d) { return d; }
// Brings columns of both halves to the order of dimensions.
static inline void order_columns(Vec& /*a*/, Vec& /*b*/) {}
