// Muon for the matrices of the layers, AdamW (without decay) for the embedding and the norms:
// the arithmetic of optim.py, with the Newton-Schulz products in bfloat16 as there.
#pragma once

#include <atomic>

#include "network.h"
#include "team.h"

namespace starter {

// The state of both optimizers, owned by the caller; each array is as long as the parameters.
// Muon uses `first` as its momentum, AdamW uses both.
struct OptimizerState {
  float* first;
  float* second;
};

// The sum of the lanes' gradients, lane after lane.
struct GradientParts {
  static constexpr size_t kMost = 64;
  const float* parts[kMost];
  size_t count = 0;

  float at(size_t index) const {
    float sum = parts[0][index];
    for (size_t i = 1; i < count; ++i) sum += parts[i][index];
    return sum;
  }
};

class Optimizer {
 public:
  static constexpr float kMatrixRate = 0.02F;
  static constexpr float kOtherRate = 4e-3F;
  static constexpr float kMomentum = 0.95F;
  static constexpr float kDecay = 0.05F;

  Optimizer(Network& network, size_t threads);

  // Step number `step` (from 1) with learning rates times `scale`; packs the new weights.
  void update(
      Team& team, const GradientParts& gradient, OptimizerState state, int64_t step, float scale);

 private:
  // Scratch of one thread.
  struct Bench {
    explicit Bench(const Network& network);
    Buffer<float> update, turned, product, gram;
    Buffer<Bf16> rows, columns, gram_rows, gram_panels, panels;
    Buffer<Bf16> pack;
  };

  void update_matrix(const MatrixPlace& place,
                     Bench& bench,
                     const GradientParts& gradient,
                     float* momentum,
                     float scale);
  void orthogonalise(Bench& bench, size_t rows, size_t columns, float* x);
  void update_other(size_t from,
                    size_t count,
                    const GradientParts& gradient,
                    OptimizerState state,
                    int64_t step,
                    float scale);

  Network& network_;
  std::vector<Bench> benches_;
  std::atomic<size_t> next_ = 0;
};

}  // namespace starter
