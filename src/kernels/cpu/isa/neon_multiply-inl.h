// Products of bytes by 16-bit multiplications. Included in a namespace of its own after
// neon_codes-inl.h.

// Adds four products to each lane. A sum of two stays below 2^15: 2 * 128 * 127.
static inline IntVec dot_four(IntVec sum, ByteVec w, ByteVec x) {
  const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
  const int16x8_t high = vmull_high_s8(w, x);
  return vpadalq_s16(sum, vpaddq_s16(low, high));
}

template <typename Format>
struct CodesLines : SignedLines<Format> {
  using SignedLines<Format>::SignedLines;
  static IntVec dot(IntVec sum, ByteVec w, ByteVec x) { return dot_four(sum, w, x); }
};
