// The rate of a dot step alone: enough independent sums to hide its latency, operands in registers.
// For tables that widen bf16 the limit is the f32 multiply-add, since widening is their own cost.
template <typename Operands>
double spin(int64_t rounds) noexcept {
  constexpr int kSums = 12;  // latency times issue width is 8 to 10 on processors we know
  typename Operands::X zeros[Operands::kStep] = {};
  asm volatile("" : : "r"(zeros) : "memory");  // the compiler must not know that they are zeros
  const typename Operands::XStep x = Operands::load_x(zeros);
  Vec sums[kSums];
  for (Vec& sum : sums) sum = zero();
  for (int64_t i = 0; i < rounds; ++i) {
    INFERNEO_UNROLL
    for (int j = 0; j < kSums; ++j) sums[j] = Operands::dot(sums[j], x, x);
  }
  float out[kLanes];
  for (const Vec& sum : sums) {
    store(out, sum);
    asm volatile("" : : "r"(out) : "memory");
  }
  return 2.0 * kSums * Operands::kStep * (double)rounds;
}
