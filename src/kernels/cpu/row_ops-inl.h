// Operations on single rows: norm, rotation, activation, sum, conversions, scans.
// Included inside the anonymous namespace and target region of an instruction set. Tails go through
// the same vector operations as full steps, so an element's bits do not depend on its place.

static inline int part(int64_t i, int64_t n) { return n - i < kLanes ? (int)(n - i) : kLanes; }

// Loads and stores of up to kLanes floats.
static inline Vec load_some(const float* p, int count) {
  return count == kLanes ? load(p) : load_part(p, count);
}
static inline void store_some(float* p, Vec v, int count) {
  if (count == kLanes) {
    store(p, v);
  } else {
    store_part(p, v, count);
  }
}

static inline float reduce_add(Vec v) {
  float sums[4];
  reduce_add4(v, v, v, v, sums);
  return sums[0];
}

void rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n) noexcept {
  Vec squares[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    INFERNEO_UNROLL
    for (int j = 0; j < 4; ++j) {
      const Vec v = load(x + i + j * kLanes);
      squares[j] = fma(v, v, squares[j]);
    }
  }
  for (; i < n; i += kLanes) {
    const Vec v = load_some(x + i, part(i, n));
    squares[0] = fma(v, v, squares[0]);
  }
  const float sum = reduce_add(add(add(squares[0], squares[1]), add(squares[2], squares[3])));
  const Vec scale = set(1.0f / __builtin_sqrtf(sum / (float)n + eps));
  for (i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    const Vec v = mul(load_some(x + i, count), scale);
    store_some(y + i, mul(v, load_some(weight + i, count)), count);
  }
}

// Two passes, as the reference implementations do: squares of differences lose nothing to a mean
// that is large beside the deviations.
void layer_norm(const float* x,
                const float* weight,
                const float* bias,
                float eps,
                float* y,
                int64_t n) noexcept {
  Vec total = zero();
  for (int64_t i = 0; i < n; i += kLanes) total = add(total, load_some(x + i, part(i, n)));
  const Vec mean = set(reduce_add(total) / (float)n);
  Vec squares = zero();
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    Vec v = sub(load_some(x + i, count), mean);
    if (count < kLanes) v = keep_first(v, count, zero());
    squares = fma(v, v, squares);
  }
  const Vec scale = set(1.0f / __builtin_sqrtf(reduce_add(squares) / (float)n + eps));
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    Vec v = mul(sub(load_some(x + i, count), mean), scale);
    if (weight != nullptr) v = mul(v, load_some(weight + i, count));
    if (bias != nullptr) v = add(v, load_some(bias + i, count));
    store_some(y + i, v, count);
  }
}

void rope(float* x,
          const float* cos,
          const float* sin,
          int64_t heads,
          int64_t head_dim,
          int64_t rotary_dim) noexcept {
  const int64_t half = rotary_dim / 2;
  for (int64_t head = 0; head < heads; ++head, x += head_dim) {
    for (int64_t i = 0; i < half; i += kLanes) {
      const int count = part(i, half);
      const Vec c = load_some(cos + i, count);
      const Vec s = load_some(sin + i, count);
      const Vec a = load_some(x + i, count);
      const Vec b = load_some(x + half + i, count);
      store_some(x + i, sub(mul(a, c), mul(b, s)), count);
      store_some(x + half + i, add(mul(b, c), mul(a, s)), count);
    }
  }
}

// Each pair becomes x * (c, c) + swapped x * (-s, s); the factors of a vector are spread once for
// all heads.
void rope_adjacent(float* x,
                   const float* cos,
                   const float* sin,
                   int64_t heads,
                   int64_t head_dim,
                   int64_t rotary_dim) noexcept {
  for (int64_t i = 0; i < rotary_dim; i += kLanes) {
    const int count = part(i, rotary_dim);
    float c[kLanes];
    float s[kLanes];
    for (int lane = 0; lane < count; lane += 2) {
      c[lane] = c[lane + 1] = cos[(i + lane) / 2];
      s[lane + 1] = sin[(i + lane) / 2];
      s[lane] = -s[lane + 1];
    }
    const Vec kept = load_some(c, count);
    const Vec crossed = load_some(s, count);
    float* at = x + i;
    for (int64_t head = 0; head < heads; ++head, at += head_dim) {
      const Vec v = load_some(at, count);
      store_some(at, add(mul(v, kept), mul(swap_pairs(v), crossed)), count);
    }
  }
}

void add_rows(const float* a, const float* b, float* y, int64_t n) noexcept {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    store_some(y + i, add(load_some(a + i, count), load_some(b + i, count)), count);
  }
}

void f32_to_bf16(const float* x, Bf16* y, int64_t n) noexcept {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bf16(y + i, load(x + i));
  if (i < n) {
    Bf16 last[kLanes];
    store_bf16(last, load_part(x + i, n - i));
    __builtin_memcpy(y + i, last, (size_t)(n - i) * sizeof(Bf16));
  }
}

void f32_to_f16(const float* x, F16* y, int64_t n) noexcept {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_f16(y + i, load(x + i));
  if (i < n) {
    F16 last[kLanes];
    store_f16(last, load_part(x + i, n - i));
    __builtin_memcpy(y + i, last, (size_t)(n - i) * sizeof(F16));
  }
}

void bf16_to_f32(const Bf16* x, float* y, int64_t n) noexcept {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load_bf16(x + i));
  if (i < n) store_part(y + i, load_bf16_part(x + i, n - i), (int)(n - i));
}

void f16_to_f32(const F16* x, float* y, int64_t n) noexcept {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load_f16(x + i));
  if (i < n) store_part(y + i, load_f16_part(x + i, n - i), (int)(n - i));
}

// Spec: rounding as KernelTable::f32_to_i8 says.
void f32_to_i8(const float* x, int8_t* y, float* scale, int64_t n) noexcept {
  Vec most = zero();
  Vec broken = zero();  // 0 times what is not finite is NaN
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vec v = load_some(x + i, part(i, n));
    most = max(most, max(v, sub(zero(), v)));
    broken = fma(v, zero(), broken);
  }
  const float largest = reduce_max(most);
  const float poison = reduce_add(broken);  // 0 or NaN
  const bool is_usable = poison == 0 && largest >= 1e-30f;
  *scale = is_usable ? largest / 127.0f : poison;
  const Vec inverse = set(is_usable ? 127.0f / largest : 0.0f);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    float codes[kLanes];
    store(codes, is_usable ? round_nearest(mul(load_some(x + i, count), inverse)) : zero());
    for (int j = 0; j < count; ++j) y[i + j] = (int8_t)(int)codes[j];
  }
}

// The largest element of a row, -infinity for none.
static inline float largest(const float* x, int64_t n) {
  Vec most[4];
  for (Vec& v : most) v = set(-__builtin_inff());
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    INFERNEO_UNROLL
    for (int j = 0; j < 4; ++j) most[j] = max(most[j], load(x + i + j * kLanes));
  }
  float best = reduce_max(max(max(most[0], most[1]), max(most[2], most[3])));
  for (; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

int64_t argmax(const float* x, int64_t n, bool* all_finite) noexcept {
  // Long enough to hide the latency of a reduction, short enough to search again in L1.
  constexpr int64_t kStretch = 1024;
  Vec not_finite = zero();  // x * 0 is 0 for a finite x and NaN otherwise
  float best = -__builtin_inff();
  int64_t stretch_of_best = 0;
  for (int64_t begin = 0; begin < n; begin += kStretch) {
    const int64_t count = n - begin < kStretch ? n - begin : kStretch;
    for (int64_t i = 0; i < count; i += kLanes) {
      not_finite = fma(load_some(x + begin + i, part(i, count)), zero(), not_finite);
    }
    const float here = largest(x + begin, count);
    if (here > best) {
      best = here;
      stretch_of_best = begin;
    }
  }
  *all_finite = reduce_add(not_finite) == 0.0f;
  for (int64_t i = stretch_of_best; i < n && i < stretch_of_best + kStretch; ++i) {
    if (x[i] == best) return i;
  }
  return 0;
}

float log_sum_exp(const float* x, int64_t n) noexcept {
  float most = largest(x, n);
  // Why: inf - inf is NaN, but the sum itself is well defined (infinity, or zero).
  if (__builtin_isinf(most)) most = 0;
  const Vec shift = set(most);
  Vec sums[2] = {zero(), zero()};
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = part(i, n);
    const Vec terms = exp_lanes(sub(load_some(x + i, count), shift));
    Vec& sum = sums[(i / kLanes) & 1];
    sum = add(sum, count == kLanes ? terms : keep_first(terms, count, zero()));
  }
  return logf(reduce_add(add(sums[0], sums[1]))) + most;
}
