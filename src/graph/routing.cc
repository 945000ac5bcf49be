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

// The chosen groups, one bit each: those than which fewer are better.
std::uint64_t open_groups(const Routing& routing,
                          const Scores& score,
                          std::int64_t group_size) noexcept {
  float scores[kExpertGroupCountMax];
  for (std::int64_t g = 0; g < routing.group_count; ++g) {
    scores[g] = group_score(routing, score, g * group_size, (g + 1) * group_size);
  }
  std::uint64_t open = 0;
  for (std::int64_t g = 0; g < routing.group_count; ++g) {
    std::int64_t better = 0;
    for (std::int64_t other = 0; other < routing.group_count; ++other) {
      better += scores[other] > scores[g] || (scores[other] == scores[g] && other < g) ? 1 : 0;
    }
    if (better < routing.chosen_group_count) open |= std::uint64_t{1} << g;
  }
  return open;
}

bool is_chosen(const float* chosen, std::int64_t count, std::int64_t expert) noexcept {
  return std::find(chosen, chosen + count, static_cast<float>(expert)) != chosen + count;
}

// The best expert of the open groups that is not among the chosen.
std::int64_t next_best(const Scores& score,
                       std::uint64_t open,
                       std::int64_t group_size,
                       std::int64_t expert_count,
                       const float* chosen,
                       std::int64_t chosen_count) noexcept {
  std::int64_t best = -1;
  for (std::int64_t i = 0; i < expert_count; ++i) {
    if ((open >> (i / group_size) & 1) == 0 || is_chosen(chosen, chosen_count, i)) continue;
    if (best < 0 || score(i) > score(best)) best = i;
  }
  // Why: fewer open experts than are chosen, or scores that are no numbers; any will do, once.
  for (std::int64_t i = 0; best < 0; ++i) {
    if (!is_chosen(chosen, chosen_count, i)) best = i;
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
  const std::int64_t group_size = expert_count / routing.group_count;
  const std::uint64_t open = routing.group_count > 1 ? open_groups(routing, score, group_size) : 1;
  float* weights = out + count;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t expert = next_best(score, open, group_size, expert_count, out, i);
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
