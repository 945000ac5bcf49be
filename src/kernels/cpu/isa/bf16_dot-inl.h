// Operands of linear layers that use vdpbf16ps. The instruction treats denormals as zero.
struct OperandsBf16Dot : OperandsBf16Widened {
  static inline Vec dot(Vec sum, Wide x, Wide w) {
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
  }
};
