// Linears on vdpbf16ps: bf16 rows as they lie in the file, inputs rounded to bf16. Included after
// bodies-inl.h.

// A step adds the products of elements 2 i and 2 i + 1 to lane i; denormals count as zeros.
// Spec: Intel SDM vol. 2, VDPBF16PS.
struct OperandsBf16 {
  using X = Bf16;
  using W = Bf16;
  using XStep = __m512bh;
  using WStep = __m512bh;
  static constexpr int64_t kStep = 2 * kLanes;
  static inline XStep load_x(const Bf16* p) { return (__m512bh)_mm512_loadu_si512(p); }
  static inline XStep load_x_part(const Bf16* p, int64_t n) {
    return (__m512bh)_mm512_maskz_loadu_epi16((__mmask32)((1ULL << n) - 1), p);
  }
  static inline WStep load_w(const Bf16* p) { return load_x(p); }
  static inline WStep load_w_part(const Bf16* p, int64_t n) { return load_x_part(p, n); }
  static inline Vec dot(Vec sum, XStep x, WStep w) { return _mm512_dpbf16_ps(sum, x, w); }
};

// Packed inputs: rows of k bf16 numbers, each from a cache line on.
static inline int64_t bf16_row_width(int64_t k) { return (k + 31) / 32 * 32; }

size_t bf16_inputs_size(int64_t m, int64_t k) noexcept {
  return (size_t)(m * bf16_row_width(k)) * sizeof(Bf16);
}

void pack_bf16_inputs(const float* x,
                      int64_t x_stride,
                      int64_t m_begin,
                      int64_t m_end,
                      int64_t k,
                      void* packed) noexcept {
  for (int64_t m = m_begin; m < m_end; ++m) {
    const float* row = x + m * x_stride;
    Bf16* out = (Bf16*)packed + m * bf16_row_width(k);
    for (int64_t i = 0; i < k; i += 2 * kLanes, out += 2 * kLanes) {
      const auto present = (__mmask32)((1ULL << (k - i < 2 * kLanes ? k - i : 2 * kLanes)) - 1);
      const Vec low = _mm512_maskz_loadu_ps((__mmask16)present, row + i);
      const Vec high = _mm512_maskz_loadu_ps((__mmask16)(present >> kLanes), row + i + kLanes);
      _mm512_store_si512(out, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
  }
}

size_t bf16_panel_size(int64_t k) noexcept { return (size_t)(kPanelOutputs * k) * sizeof(Bf16); }

void bf16_rows_linear(const PackedLinearArgs& packed) noexcept {
  LinearArgs args;
  args.x = packed.inputs;
  args.w = packed.panels;
  args.bias = packed.bias;
  args.y = packed.y;
  args.m = packed.m;
  args.n_begin = packed.n_begin;
  args.n_end = packed.n_end;
  args.k = packed.k;
  args.x_stride = bf16_row_width(packed.k);
  args.y_stride = packed.y_stride;
  args.accumulate = packed.accumulate;
  linear<OperandsBf16>(args);
}

constexpr InputOps kBf16Inputs = {.size = bf16_inputs_size, .pack = pack_bf16_inputs};
constexpr MatrixOps kBf16Rows = {.layout = "bf16 rows",
                                 .inputs = &kBf16Inputs,
                                 .panel_size = bf16_panel_size,
                                 .linear = bf16_rows_linear};
