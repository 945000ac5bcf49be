// Packed inputs of AMX products. Included after amx_f16-inl.h or amx_bf16-inl.h, which say how
// elements are rounded.

static inline int64_t steps_of(int64_t k) { return (k + kStepK - 1) / kStepK; }
static inline int64_t at_most(int64_t value, int64_t limit) {
  return value < limit ? value : limit;
}

// Packed inputs that are the sum of so many parts: for each tile of rows their factors' inverses,
// [16] f32, then [step][part][16 rows][32 k].
template <int parts>
constexpr int64_t kInputStepBytes = parts* kTileBytes;

template <int parts>
static inline int64_t input_tile_size(int64_t k) {
  return 64 + steps_of(k) * kInputStepBytes<parts>;
}

template <int parts>
size_t amx_inputs_size(int64_t m, int64_t k) noexcept {
  return (size_t)((m + kTile - 1) / kTile * input_tile_size<parts>(k));
}

// The magnitudes' maximum as bits, in which a NaN counts as the largest.
static inline float largest_magnitude(const float* x, int64_t k) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (int64_t i = 0; i < k; i += kLanes) {
    const Vec v = load_part(x + i, at_most(k - i, kLanes));
    largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(v), magnitude));
  }
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(largest))));
}

template <int parts>
static inline void pack_input_row(const float* x, int64_t k, Vec factor, char* tiles) {
  int64_t i = 0;
  for (; i + kStepK <= k; i += kStepK, tiles += kInputStepBytes<parts>) {
    const Vec low = mul(load(x + i), factor);
    const Vec high = mul(load(x + i + kLanes), factor);
    store_inputs<parts>(tiles, low, high);
  }
  if (i == k) return;
  const Vec low = mul(load_part(x + i, at_most(k - i, kLanes)), factor);
  const int64_t rest = k - i - kLanes;
  const Vec high = rest > 0 ? mul(load_part(x + i + kLanes, rest), factor) : zero();
  store_inputs<parts>(tiles, low, high);
}

template <int parts>
void amx_pack_inputs(const float* x,
                     int64_t x_stride,
                     int64_t m_begin,
                     int64_t m_end,
                     int64_t k,
                     void* packed) noexcept {
  for (int64_t m = m_begin; m < m_end; m += kTile) {
    char* tile = (char*)packed + m / kTile * input_tile_size<parts>(k);
    float* inverse = (float*)tile;
    char* rows = tile + 64;
    // Rows that are not there stay as they are: no product of theirs is used.
    for (int64_t row = 0; row < at_most(m_end - m, kTile); ++row) {
      const float* source = x + (m + row) * x_stride;
      const float factor = row_factor(largest_magnitude(source, k));
      inverse[row] = 1 / factor;
      pack_input_row<parts>(source, k, set(factor), rows + row * 64);
    }
  }
}

template <int parts>
constexpr InputOps kAmxInputs = {amx_inputs_size<parts>, amx_pack_inputs<parts>};
