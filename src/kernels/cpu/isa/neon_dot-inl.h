// Products of bytes by the dot product sdot. Included in a namespace of its own after
// neon_codes-inl.h.

static inline IntVec dot_four(IntVec sum, ByteVec w, ByteVec x) { return vdotq_s32(sum, w, x); }

template <typename Format>
struct CodesLines : SignedLines<Format> {
  using SignedLines<Format>::SignedLines;
  static IntVec dot(IntVec sum, ByteVec w, ByteVec x) { return dot_four(sum, w, x); }
};
