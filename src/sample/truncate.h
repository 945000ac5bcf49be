// Truncation of a distribution: min_p, then top_k, then top_p, each on what the one before left.
// The result is a cut in the order "heavier first, lower id first among equals", so that it can be
// tested on a weight and its id without a sorted copy of the row.
// Thread: one owner. Ownership: owns its scratch; nothing is allocated after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "request/sampling_params.h"
#include "request/token.h"

namespace inferneo::sample {

struct Candidate {
  float weight = 0;
  TokenId id = 0;
  // Heavier first, then the lower id.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  }
};

class Truncation {
 public:
  Truncation(const request::SamplingParams& params, std::int32_t vocab_size);

  [[nodiscard]] bool active() const { return top_k_ > 0 || top_p_ < 1.0 || min_p_ > 0.0F; }

  // The last candidate that stays; everything that sorts after it is out.
  //   min_p: weight >= min_p * largest weight
  //   top_k: the k first
  //   top_p: the fewest first ones whose weight reaches top_p of the weight left
  // At least one candidate stays. Preconditions: weights are finite, not negative, the largest is
  // 1, and `total` is their sum. Cost: expected linear in the row.
  Candidate cut(std::span<const float> weights, double total);

 private:
  void gather(std::span<const float> weights, float weight_min);
  void select_top_k(std::span<const float> weights, float weight_min);
  void gather_mass(std::span<const float> weights, double needed);
  [[nodiscard]] Candidate cut_by_mass(double needed);

  std::size_t top_k_;
  double top_p_;
  float min_p_;
  std::vector<Candidate> candidates_;
};

}  // namespace inferneo::sample
