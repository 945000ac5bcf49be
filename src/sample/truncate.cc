#include "sample/truncate.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/check.h"

namespace inferneo::sample {
namespace {

double mass_of(std::span<const Candidate> candidates) {
  double mass = 0;
  for (const Candidate& candidate : candidates) mass += candidate.weight;
  return mass;
}

std::size_t top_k_of(const request::SamplingParams& params, std::size_t vocabulary) {
  const auto k = static_cast<std::size_t>(std::max(params.top_k, 0));
  return k < vocabulary ? k : 0;
}

}  // namespace

Truncation::Truncation(const request::SamplingParams& params, std::int32_t vocab_size)
    : top_k_(top_k_of(params, static_cast<std::size_t>(std::max(vocab_size, 0)))),
      top_p_(static_cast<double>(params.top_p)),
      min_p_(params.min_p) {
  const auto vocabulary = static_cast<std::size_t>(std::max(vocab_size, 0));
  if (top_p_ < 1.0 && top_k_ == 0) {
    candidates_.reserve(vocabulary);
  } else if (top_k_ > 0) {
    candidates_.reserve(std::min(vocabulary, 2 * top_k_));
  }
}

void Truncation::gather(std::span<const float> weights, float weight_min) {
  candidates_.clear();
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] >= weight_min) candidates_.push_back({weights[id], static_cast<TokenId>(id)});
  }
}

// Keeps a buffer of at most 2k: each time it fills, the k first stay and the weakest of them
// becomes the bound that most of the row then fails with one comparison.
void Truncation::select_top_k(std::span<const float> weights, float weight_min) {
  candidates_.clear();
  const std::size_t capacity = std::min(weights.size(), 2 * top_k_);
  const auto kth = [&] { return candidates_.begin() + static_cast<std::ptrdiff_t>(top_k_ - 1); };
  // Until a bound exists, elements equal to weight_min pass; afterwards an equal one has a higher
  // id than those held and loses.
  bool bounded = false;
  float bound = weight_min;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    const float weight = weights[id];
    if (bounded ? !(weight > bound) : !(weight >= bound)) continue;
    if (candidates_.size() == capacity) {
      std::nth_element(candidates_.begin(), kth(), candidates_.end());
      candidates_.resize(top_k_);
      bound = candidates_.back().weight;
      bounded = true;
      if (!(weight > bound)) continue;
    }
    candidates_.push_back({weight, static_cast<TokenId>(id)});
  }
  if (candidates_.size() > top_k_) {
    std::nth_element(candidates_.begin(), kth(), candidates_.end());
    candidates_.resize(top_k_);
  }
}

// Gathers a heavy part of the row that is sure to hold `needed`. The bounds are guesses that
// shorten the selection; a flat row falls through to all of it.
void Truncation::gather_mass(std::span<const float> weights, double needed) {
  for (const float bound : {1e-2F, 1e-4F}) {
    double mass = 0;
    for (const float weight : weights) mass += weight >= bound ? weight : 0.0F;
    if (mass >= needed) {
      gather(weights, bound);
      return;
    }
  }
  gather(weights, 0.0F);
}

// Quickselect by weight: the first candidate at which the running sum reaches `needed`.
Candidate Truncation::cut_by_mass(double needed) {
  std::span<Candidate> rest(candidates_);
  double before = 0;
  // Why a bound: an unlucky order must not make this quadratic.
  auto rounds_left = 2 * std::bit_width(rest.size());
  while (rest.size() > 16 && rounds_left-- > 0) {
    std::array<Candidate, 3> picks = {rest.front(), rest[rest.size() / 2], rest.back()};
    std::sort(picks.begin(), picks.end());
    const Candidate pivot = picks[1];
    const auto middle =
        std::partition(rest.begin(), rest.end(), [&](const Candidate& c) { return c < pivot; });
    const auto head = rest.first(static_cast<std::size_t>(middle - rest.begin()));
    const double head_mass = mass_of(head);
    if (before + head_mass >= needed && !head.empty()) {
      rest = head;
    } else {
      before += head_mass;
      rest = rest.subspan(head.size());
    }
  }
  std::sort(rest.begin(), rest.end());
  for (const Candidate& candidate : rest) {
    before += candidate.weight;
    if (before >= needed) return candidate;
  }
  return rest.back();
}

Candidate Truncation::cut(std::span<const float> weights, double total) {
  constexpr TokenId kLastId = INT32_MAX;
  if (top_k_ > 0) {
    select_top_k(weights, min_p_);
    DCHECK(!candidates_.empty());
    if (top_p_ < 1.0) return cut_by_mass(top_p_ * mass_of(candidates_));
    return *std::max_element(candidates_.begin(), candidates_.end());
  }
  if (top_p_ >= 1.0) return {min_p_, kLastId};
  if (min_p_ > 0.0F) {
    gather(weights, min_p_);
    return cut_by_mass(top_p_ * mass_of(candidates_));
  }
  const double needed = top_p_ * total;
  gather_mass(weights, needed);
  return cut_by_mass(needed);
}

}  // namespace inferneo::sample
