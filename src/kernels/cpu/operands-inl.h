// Operand types of linear layers with f32 activations, and the ones with bf16 activations for
// instruction sets without a bf16 dot product. Needs: Vec, Wide, kLanes, fma, the loads, and
// even_bf16 and odd_bf16, which widen the elements 2i and 2i + 1 of a step.

struct OperandsF32F32 {
  using X = float;
  using W = float;
  using XStep = Vec;
  using WStep = Vec;
  static constexpr int64_t kStep = kLanes;
  static inline Vec load_x(const float* p) { return load(p); }
  static inline Vec load_x_part(const float* p, int64_t n) { return load_part(p, n); }
  static inline Vec load_w(const float* p) { return load(p); }
  static inline Vec load_w_part(const float* p, int64_t n) { return load_part(p, n); }
  static inline Vec dot(Vec sum, Vec x, Vec w) { return fma(x, w, sum); }
};

struct OperandsF32F16 : OperandsF32F32 {
  using W = F16;
  static inline Vec load_w(const F16* p) { return load_f16(p); }
  static inline Vec load_w_part(const F16* p, int64_t n) { return load_f16_part(p, n); }
};

struct OperandsF32Bf16 : OperandsF32F32 {
  using W = Bf16;
  static inline Vec load_w(const Bf16* p) { return load_bf16(p); }
  static inline Vec load_w_part(const Bf16* p, int64_t n) { return load_bf16_part(p, n); }
};

// Both operands widen in the same permuted order, so the products still meet.
struct OperandsBf16Widened {
  using X = Bf16;
  using W = Bf16;
  using XStep = Wide;
  using WStep = Wide;
  static constexpr int64_t kStep = 2 * kLanes;
  static inline Wide load_x(const Bf16* p) { return load_wide(p); }
  static inline Wide load_x_part(const Bf16* p, int64_t n) { return load_wide_part(p, n); }
  static inline Wide load_w(const Bf16* p) { return load_wide(p); }
  static inline Wide load_w_part(const Bf16* p, int64_t n) { return load_wide_part(p, n); }
  static inline Vec dot(Vec sum, Wide x, Wide w) {
    return fma(odd_bf16(x), odd_bf16(w), fma(even_bf16(x), even_bf16(w), sum));
  }
};
