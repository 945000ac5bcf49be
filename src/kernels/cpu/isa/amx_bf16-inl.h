// How AMX tables of bf16 tiles round: weights to bf16, inputs to one bf16 number or the sum of two.
// bf16 weights keep their value, others lose 2^-9, inputs 2^-9 or 2^-16. Included after
// amx_tiles-inl.h, before amx_inputs-inl.h.

// Tiles whose sum is an input, beside weights of 16 bits whose inputs are not to be rounded to one.
constexpr int kBf16InputParts = 2;
constexpr int kF16InputParts = 2;
#define INFERNEO_AMX_LAYOUT "amx-bf16-"

template <int sums, int a, int b>
static inline void tile_product() {
  tile_product_bf16<sums, a, b>();
}

// bf16 has the range of f32.
static inline float row_factor(float /*largest*/) { return 1; }

template <bool bf16>
static inline float weight_factor(float /*largest*/) {
  return 1;
}

static inline void store_weights(uint16_t* out, Vec v) { store_bf16(out, v); }
static inline void store_weights(char* out, __m512h v) {
  const __m512i halves = (__m512i)v;
  const Vec low = _mm512_cvtph_ps(_mm512_castsi512_si256(halves));
  const Vec high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1));
  _mm512_store_si512(out, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// Rounds kStepK inputs to a row of a tile, and what is left of them to a row of a second one.
template <int parts>
static inline void store_inputs(char* out, Vec low, Vec high) {
  const auto upper = (__m512i)_mm512_cvtne2ps_pbh(high, low);
  _mm512_storeu_si512(out, upper);
  if constexpr (parts == 1) return;
  const Vec rest_low = sub(low, from_bf16(_mm512_castsi512_si256(upper)));
  const Vec rest_high = sub(high, from_bf16(_mm512_extracti64x4_epi64(upper, 1)));
  _mm512_storeu_si512(out + kTileBytes, (__m512i)_mm512_cvtne2ps_pbh(rest_high, rest_low));
}
