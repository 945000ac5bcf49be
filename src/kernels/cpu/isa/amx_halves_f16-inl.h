// Halves that attention multiplies where tiles are f16, as keys and values are. Included after
// amx_f16-inl.h, before amx_attention-inl.h; amx_halves_bf16-inl.h has the same names.

// Tiles whose sum is a key or a value.
constexpr int kCacheParts = 1;

static inline bool is_broken_half(uint16_t half) { return (half & 0x7c00) == 0x7c00; }

// Rounds to the halves of a part: the first, or what that leaves.
template <int part>
static inline __m256i to_part(Vec v) {
  const __m256i halves = to_halves(v);
  return part == 0 ? halves : to_halves(sub(v, from_halves(halves)));
}

// A step of 32 dimensions of a query, in the order of key_part.
template <int part>
static inline __m512i query_part(Vec a, Vec b) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(to_part<part>(a)), to_part<part>(b), 1);
}

// Halves of a and b in turn.
template <int part>
static inline __m512i pair_part(Vec a, Vec b) {
  const __m512i order = _mm512_set_epi16(31,
                                         15,
                                         30,
                                         14,
                                         29,
                                         13,
                                         28,
                                         12,
                                         27,
                                         11,
                                         26,
                                         10,
                                         25,
                                         9,
                                         24,
                                         8,
                                         23,
                                         7,
                                         22,
                                         6,
                                         21,
                                         5,
                                         20,
                                         4,
                                         19,
                                         3,
                                         18,
                                         2,
                                         17,
                                         1,
                                         16,
                                         0);
  return _mm512_permutexvar_epi16(order, query_part<part>(a, b));
}

// A step of 32 dimensions of a key.
template <int part>
static inline __m512i key_part(__m512i halves) {
  return halves;
}

// Of a step of 32 dimensions of the values of two keys, one half: pairs of keys side by side.
template <int part>
static inline __m512i value_pairs(__m512i even, __m512i odd, int half) {
  return half == 0 ? _mm512_unpacklo_epi16(even, odd) : _mm512_unpackhi_epi16(even, odd);
}
// The dimension that pair i of a half belongs to, and where it is among the pairs of both halves.
static inline int64_t pair_dimension(int half, int i) { return i / 4 * 8 + half * 4 + i % 4; }
static inline int64_t pair_column(int64_t d) { return d / 4 % 2 * kTile + d / 8 * 4 + d % 4; }
// Brings columns of both halves to the order of dimensions.
static inline void order_columns(Vec& a, Vec& b) {
  const __m512i lower = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
  const Vec first = _mm512_permutex2var_ps(a, lower, b);
  b = _mm512_permutex2var_ps(a, upper, b);
  a = first;
}
