#include "graph/routing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace inferneo::graph {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

void softmax(float* values, std::int64_t count) noexcept {
  const float most = *std::max_element(values, values + count);
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += values[i] = std::exp(values[i] - most);
  for (std::int64_t i = 0; i < count; ++i) values[i] /= sum;
}

// What decides about the choice: the score with its correction.
struct Scores {
  const float* scores;
  const float* correction;
  float operator()(std::int64_t expert) const {
    return scores[expert] + (correction == nullptr ? 0 : correction[expert]);
  }
};

float group_score(const Routing& routing,
                  const Scores& score,
                  std::int64_t begin,
                  std::int64_t end) noexcept {
  float best = kLowest;
  float second = kLowest;
  for (std::int64_t i = begin; i < end; ++i) {
    const float here = score(i);
    second = std::max(second, std::min(best, here));
    best = std::max(best, here);
  }
  return routing.sums_two_best ? best + second : best;
}

// Whether the group of an expert is among the chosen: fewer than that many are better.
bool is_group_open(const Routing& routing,
                   const Scores& score,
                   std::int64_t group,
                   std::int64_t group_size) noexcept {
  const auto score_of = [&](std::int64_t g) {
    return group_score(routing, score, g * group_size, (g + 1) * group_size);
  };
  const float own = score_of(group);
  std::int64_t better = 0;
  for (std::int64_t g = 0; g < routing.group_count; ++g) {
    const float other = score_of(g);
    better += other > own || (other == own && g < group) ? 1 : 0;
  }
  return better < routing.chosen_group_count;
}

// The best expert that stands after the last chosen one in order of score, then number.
std::int64_t next_best(const Routing& routing,
                       const Scores& score,
                       std::int64_t expert_count,
                       const float* chosen,
                       std::int64_t chosen_count) noexcept {
  const std::int64_t group_size = expert_count / routing.group_count;
  std::int64_t best = -1;
  for (std::int64_t group = 0; group < routing.group_count; ++group) {
    if (routing.group_count > 1 && !is_group_open(routing, score, group, group_size)) continue;
    for (std::int64_t i = group * group_size; i < (group + 1) * group_size; ++i) {
      const bool is_taken =
          std::find(chosen, chosen + chosen_count, static_cast<float>(i)) != chosen + chosen_count;
      if (!is_taken && (best < 0 || score(i) > score(best))) best = i;
    }
  }
  // Why: fewer open experts than are chosen, or scores that are no numbers; any will do, once.
  for (std::int64_t i = 0; best < 0; ++i) {
    if (std::find(chosen, chosen + chosen_count, static_cast<float>(i)) == chosen + chosen_count) {
      best = i;
    }
  }
  return best;
}

}  // namespace

void choose_experts(const Routing& routing,
                    float* logits,
                    std::int64_t expert_count,
                    const float* correction,
                    float* out) noexcept {
  using Scoring = Routing::Scoring;
  if (routing.scoring == Scoring::kSoftmax) softmax(logits, expert_count);
  if (routing.scoring == Scoring::kSigmoid) {
    for (std::int64_t i = 0; i < expert_count; ++i) logits[i] = 1 / (1 + std::exp(-logits[i]));
  }
  const Scores score{logits, correction};
  const std::int64_t count = routing.chosen_count;
  float* weights = out + count;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t expert = next_best(routing, score, expert_count, out, i);
    out[i] = static_cast<float>(expert);
    weights[i] = logits[expert];
  }
  if (routing.scoring == Scoring::kSoftmaxOfChosen) softmax(weights, count);
  if (routing.renormalizes) {
    float sum = 1e-20F;
    for (std::int64_t i = 0; i < count; ++i) sum += weights[i];
    for (std::int64_t i = 0; i < count; ++i) weights[i] /= sum;
  }
  for (std::int64_t i = 0; i < count; ++i) weights[i] *= routing.scale;
}

}  // namespace inferneo::graph
