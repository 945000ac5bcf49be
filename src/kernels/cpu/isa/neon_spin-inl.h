// The step of bytes of a namespace's dot_four, for its rate alone.
struct BytesStep {
  using X = int8_t;
  using XStep = ByteVec;
  static constexpr int64_t kStep = 4 * kLanes;
  static inline XStep load_x(const int8_t* p) { return vld1q_s8(p); }
  static inline Vec dot(Vec sum, XStep x, XStep w) {
    return vreinterpretq_f32_s32(dot_four(vreinterpretq_s32_f32(sum), x, w));
  }
};
