#include "sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include "base/check.h"
#include "sample/logprobs.h"
#include "sample/penalties.h"
#include "sample/rng.h"
#include "sample/row.h"
#include "sample/truncate.h"

namespace inferneo::sample {
namespace {

// Below this the division would turn every other token into an exact zero anyway.
constexpr float kGreedyTemperatureMax = 1e-5F;

// The smallest id at which the running sum of the kept weights passes `point` of their sum.
// `keeps(weight, id)` tells which ones count.
template <typename Keeps>
TokenId draw(std::span<const float> weights, double uniform, const Keeps& keeps) {
  double total = 0;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (keeps(weights[id], static_cast<TokenId>(id))) total += weights[id];
  }
  const double point = uniform * total;
  double passed = 0;
  TokenId last = 0;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] == 0.0F || !keeps(weights[id], static_cast<TokenId>(id))) continue;
    last = static_cast<TokenId>(id);
    passed += weights[id];
    if (passed > point) return last;
  }
  return last;
}

}  // namespace

struct Sampler::State {
  State(const request::SamplingParams& params,
        std::int32_t choice_index,
        std::uint64_t entropy,
        std::int32_t vocab_size,
        std::span<const TokenId> prompt)
      : temperature(params.temperature),
        logprobs(params.logprobs),
        seed(params.seed.value_or(entropy)),
        choice(static_cast<std::uint32_t>(choice_index)),
        penalties(params, vocab_size, prompt),
        truncation(params, vocab_size) {}

  std::optional<TokenId> choose(std::span<float> logits,
                                RowScan scan,
                                std::span<const TokenId> banned);
  TokenId draw_token(std::span<float> logits, float max);

  float temperature;
  std::optional<std::int32_t> logprobs;
  std::uint64_t seed;
  std::uint32_t choice;
  std::uint64_t position = 0;
  Penalties penalties;
  Truncation truncation;
  std::vector<float> raw;
};

Sampler::Sampler(const request::SamplingParams& params,
                 std::int32_t choice,
                 std::uint64_t entropy,
                 std::int32_t vocab_size,
                 std::span<const TokenId> prompt)
    : state_(std::make_unique<State>(params, choice, entropy, vocab_size, prompt)) {
  if (params.logprobs) state_->raw.resize(static_cast<std::size_t>(std::max(vocab_size, 0)));
}

Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Sampled Sampler::sample(std::span<float> logits, std::span<const TokenId> banned) {
  State& state = *state_;
  Sampled out;
  const RowScan scan = scan_row(logits);
  out.finite = scan.finite;
  if (!scan.finite) return out;

  // The raw row is needed after the choice, which the steps below overwrite.
  std::span<const float> raw;
  if (state.logprobs) {
    DCHECK(logits.size() <= state.raw.size());
    std::copy(logits.begin(), logits.end(), state.raw.begin());
    raw = std::span<const float>(state.raw).first(logits.size());
  }
  const std::optional<TokenId> chosen = state.choose(logits, scan, banned);
  out.finite = chosen.has_value();
  if (!chosen) return out;

  out.id = *chosen;
  if (state.logprobs) score(raw, scan, out.id, *state.logprobs, out);
  state.penalties.count(out.id);
  ++state.position;
  return out;
}

std::optional<TokenId> Sampler::State::choose(std::span<float> logits,
                                              RowScan scan,
                                              std::span<const TokenId> banned) {
  if (penalties.active() || !banned.empty()) {
    penalties.apply(logits);
    for (const TokenId id : banned) {
      if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) continue;
      logits[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
    }
    scan = scan_row(logits);
    if (!scan.finite) return std::nullopt;
  }
  if (temperature < kGreedyTemperatureMax) return scan.argmax;
  return draw_token(logits, scan.max);
}

TokenId Sampler::State::draw_token(std::span<float> logits, float max) {
  const double total = exponentiate(logits, max, 1.0F / temperature);
  const double uniform = uniform_at(seed, choice, position);
  if (!truncation.active()) {
    return draw(logits, uniform, [](float, TokenId) { return true; });
  }
  const Candidate last = truncation.cut(logits, total);
  return draw(logits, uniform, [&](float weight, TokenId id) {
    return !(last < Candidate{weight, id});
  });
}

}  // namespace inferneo::sample
