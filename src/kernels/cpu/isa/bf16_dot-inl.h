// A step of vdpbf16ps, for its rate alone. No linear uses it: a product of a pair of bf16 numbers
// takes two of the instruction, which is no faster than one f32 multiply-add for each half of it.
struct Bf16DotStep {
  using X = Bf16;
  using XStep = __m512bh;
  static constexpr int64_t kStep = 2 * kLanes;
  static inline XStep load_x(const Bf16* p) { return (__m512bh)_mm512_loadu_si512(p); }
  static inline Vec dot(Vec sum, XStep x, XStep w) { return _mm512_dpbf16_ps(sum, x, w); }
};
