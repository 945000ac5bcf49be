// Activations of feed-forward layers and soft caps, element by element.
// Included inside the anonymous namespace and target region of an instruction set, after
// row_ops-inl.h.

// tanh of every lane.
// Bound: absolute error 2e-7; exactly 1 and -1 far from 0; NaN stays NaN.
static inline Vec tanh_lanes(Vec x) {
  const Vec power = exp_lanes(mul(x, set(-2.0f)));
  return sub(div(set(2.0f), add(set(1.0f), power)), set(1.0f));
}

// The error function of every lane.
// Bound: absolute error 4e-7; within [-1, 1]; NaN stays NaN.
// Method: x P(x^2) / Q(x^2) on [-4, 4], beyond which it is 1 to all digits; a rational function of
// degrees 5 and 5, fitted for the smallest absolute error (2e-8).
static inline Vec erf_lanes(Vec x) {
  // The limit comes first because min and max return their second operand when one is NaN.
  x = max(set(-4.0f), min(set(4.0f), x));
  const Vec z = mul(x, x);
  Vec p = fma(z, set(1.974854967556894e-6f), set(2.880321117118001e-4f));
  p = fma(z, p, set(0.00400333758443594f));
  p = fma(z, p, set(0.053466543555259705f));
  p = fma(z, p, set(0.1962420791387558f));
  p = fma(z, p, set(1.128378987312317f));
  Vec q = fma(z, set(3.748062954400666e-5f), set(0.0012162801576778293f));
  q = fma(z, q, set(0.015443814918398857f));
  q = fma(z, q, set(0.11647354811429977f));
  q = fma(z, q, set(0.507246196269989f));
  q = fma(z, q, set(1.0f));
  return max(set(-1.0f), min(set(1.0f), div(mul(x, p), q)));
}

// x / (1 + exp(-x * slope))
static inline Vec gated_lanes(Vec x, Vec slope) {
  return div(x, add(set(1.0f), exp_lanes(sub(zero(), mul(x, slope)))));
}

struct SiluStep {
  static inline Vec apply(Vec x) { return gated_lanes(x, set(1.0f)); }
};
struct GeluStep {
  static inline Vec apply(Vec x) {
    const Vec half = mul(x, set(0.5f));
    return fma(half, erf_lanes(mul(x, set(0.70710678f))), half);
  }
};
struct GeluTanhStep {
  static inline Vec apply(Vec x) {
    // 2 sqrt(2 / pi) (1 + 0.044715 x^2)
    return gated_lanes(x, fma(mul(x, x), set(0.0713548163f), set(1.59576912f)));
  }
};
struct QuickGeluStep {
  static inline Vec apply(Vec x) { return gated_lanes(x, set(1.702f)); }
};
struct ReluStep {
  static inline Vec apply(Vec x) { return max(zero(), x); }
};
struct ReluSquaredStep {
  static inline Vec apply(Vec x) {
    const Vec positive = max(zero(), x);
    return mul(positive, positive);
  }
};

// Calls work.run<Step>() with the step of an activation.
template <typename Work>
static inline void run_with_step(Activation activation, const Work& work) {
  switch (activation) {
    case Activation::kSilu:
      return work.template run<SiluStep>();
    case Activation::kGelu:
      return work.template run<GeluStep>();
    case Activation::kGeluTanh:
      return work.template run<GeluTanhStep>();
    case Activation::kQuickGelu:
      return work.template run<QuickGeluStep>();
    case Activation::kRelu:
      return work.template run<ReluStep>();
    case Activation::kReluSquared:
      return work.template run<ReluSquaredStep>();
  }
}

struct ActivateRow {
  const float* x;
  const float* factor;
  float* y;
  int64_t n;

  template <typename Step>
  inline void run() const {
    for (int64_t i = 0; i < n; i += kLanes) {
      const int count = part(i, n);
      Vec v = Step::apply(load_some(x + i, count));
      if (factor != nullptr) v = mul(v, load_some(factor + i, count));
      store_some(y + i, v, count);
    }
  }
};

void activate(
    Activation activation, const float* x, const float* factor, float* y, int64_t n) noexcept {
  run_with_step(activation, ActivateRow{x, factor, y, n});
}

void soft_cap(const float* x, float cap, float* y, int64_t n) noexcept {
  const Vec factor = set(1.0f / cap);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    const Vec v = tanh_lanes(mul(load_some(x + i, count), factor));
    store_some(y + i, mul(v, set(cap)), count);
  }
}
