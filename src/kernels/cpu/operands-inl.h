// Operand types of linear layers: f32 activations and the types of weights, widened in registers.
// Needs: Vec, kLanes, fma and the loads.

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
