// How AMX tables of f16 tiles round: weights and inputs to f16, each row of them multiplied with a
// power of two, so that f16 holds 11 bits of everything but what is 2^-29 of the row's largest:
// bf16 weights keep their value, inputs lose 2^-12. Beside f16 weights inputs are the sum of two
// f16 numbers and lose 2^-23, or 2^-40 of the row's largest. Included after amx_tiles-inl.h, before
// amx_inputs-inl.h.

// Tiles whose sum is an input. Why two beside f16 weights: who keeps a model in f16 chose accuracy
// over size and speed. One would be the largest error of such a model, beside bf16 weights it is
// less than what llama.cpp loses there.
constexpr int kBf16InputParts = 1;
constexpr int kF16InputParts = 2;
#define INFERNEO_AMX_LAYOUT "amx-f16-"

template <int sums, int a, int b>
static inline void tile_product() {
  tile_product_f16<sums, a, b>();
}

// Halves as f16, and what they stand for.
static inline __m256i to_halves(Vec v) { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT); }
static inline Vec from_halves(__m256i halves) { return _mm512_cvtph_ps(halves); }

// The power of two that brings a row of this largest magnitude to [2^14, 2^15), or 1 where there is
// none: a row of zeros, or one that is not finite and stays so.
static inline float row_factor(float largest) {
  if (!(largest > 0x1p-100F) || !(largest <= FLT_MAX)) return 1;
  return ldexpf(1, 14 - ilogbf(largest));
}

// Factors of weights, by the type they come in: f16 fits as it is.
template <bool bf16>
static inline float weight_factor(float largest) {
  return bf16 ? row_factor(largest) : 1;
}

static inline void store_weights(uint16_t* out, Vec v) { store_f16(out, v); }
static inline void store_weights(char* out, __m512h v) { _mm512_store_si512(out, (__m512i)v); }

// Rounds kStepK inputs to a row of a tile, and what is left of them to a row of a second one.
template <int parts>
static inline void store_inputs(char* out, Vec low, Vec high) {
  const __m256i a = to_halves(low);
  const __m256i b = to_halves(high);
  _mm512_storeu_si512(out, _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1));
  if constexpr (parts == 2) {
    store_inputs<1>(out + kTileBytes, sub(low, from_halves(a)), sub(high, from_halves(b)));
  }
}
