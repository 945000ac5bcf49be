#include "sample/sampler.h"

#include <algorithm>
#include <array>
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

// Weights summed at once while looking for the drawn one.
constexpr std::size_t kPartCount = 64;

// The first id at which the running sum of a part's weights passes `point`. Rounding can leave that
// at the very end: then the last id that has a weight.
TokenId draw_inside(std::span<const float> part, std::size_t first_id, double point) {
  std::size_t last = 0;
  double passed = 0;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] == 0.0F) continue;
    last = i;
    passed += static_cast<double>(part[i]);
    if (passed > point) break;
  }
  return static_cast<TokenId>(first_id + last);
}

// The first id at which the running sum of the weights passes `uniform` of their total.
TokenId draw(std::span<const float> weights, double uniform) {
  double total = 0;
  for (std::size_t i = 0; i < weights.size(); i += kPartCount) {
    total += sum_of(weights.subspan(i, std::min(kPartCount, weights.size() - i)));
  }
  const double point = uniform * total;
  double passed = 0;
  std::size_t last_part = 0;
  for (std::size_t i = 0; i < weights.size(); i += kPartCount) {
    const auto part = weights.subspan(i, std::min(kPartCount, weights.size() - i));
    const double sum = sum_of(part);
    if (sum == 0) continue;
    if (passed + sum > point) return draw_inside(part, i, point - passed);
    passed += sum;
    last_part = i;
  }
  const auto rest = weights.subspan(last_part);
  return draw_inside(rest, last_part, std::numeric_limits<double>::infinity());
}

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// Forbids what the mask does not allow. Words of one kind, which most are, take no look at each
// bit.
void apply_mask(std::span<float> logits, const Allowed& allowed) {
  std::array<float, limits::kStopTokenIdCountMax + 16> kept{};
  const std::size_t kept_count = std::min(kept.size(), allowed.besides.size());
  for (std::size_t i = 0; i < kept_count; ++i) {
    const auto id = static_cast<std::size_t>(allowed.besides[i]);
    if (id < logits.size()) kept[i] = logits[id];
  }
  for (std::size_t begin = 0; begin < logits.size(); begin += 64) {
    const std::size_t index = begin / 64;
    const std::uint64_t word = index < allowed.mask.size() ? allowed.mask[index] : 0;
    const auto part = logits.subspan(begin, std::min<std::size_t>(64, logits.size() - begin));
    if (word == ~std::uint64_t{0}) continue;
    if (word == 0) {
      std::fill(part.begin(), part.end(), kForbidden);
      continue;
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      if ((word >> i & 1U) == 0) part[i] = kForbidden;
    }
  }
  for (std::size_t i = 0; i < kept_count; ++i) {
    const auto id = static_cast<std::size_t>(allowed.besides[i]);
    if (id < logits.size()) logits[id] = kept[i];
  }
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
                                std::span<const TokenId> banned,
                                const Allowed& allowed);
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

Sampled Sampler::sample(std::span<float> logits,
                        std::span<const TokenId> banned,
                        const Allowed& allowed) {
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
  const std::optional<TokenId> chosen = state.choose(logits, scan, banned, allowed);
  out.finite = chosen.has_value();
  out.blocked = !chosen;
  if (!chosen) return out;

  out.id = *chosen;
  if (state.logprobs) score(raw, scan, out.id, *state.logprobs, out);
  state.penalties.count(out.id);
  ++state.position;
  return out;
}

void Sampler::skip(TokenId id) {
  state_->penalties.count(id);
  ++state_->position;
}

std::optional<TokenId> Sampler::State::choose(std::span<float> logits,
                                              RowScan scan,
                                              std::span<const TokenId> banned,
                                              const Allowed& allowed) {
  if (penalties.active() || !banned.empty() || !allowed.everything) {
    penalties.apply(logits);
    for (const TokenId id : banned) {
      if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) continue;
      logits[static_cast<std::size_t>(id)] = kForbidden;
    }
    if (!allowed.everything) apply_mask(logits, allowed);
    scan = scan_row(logits);
    if (!scan.finite) return std::nullopt;
  }
  if (temperature < kGreedyTemperatureMax) return scan.argmax;
  return draw_token(logits, scan.max);
}

TokenId Sampler::State::draw_token(std::span<float> logits, float max) {
  const double total = exponentiate(logits, max, 1.0F / temperature);
  if (truncation.active()) {
    const Candidate last = truncation.cut(logits, total);
    const std::size_t tied = std::min(static_cast<std::size_t>(last.id) + 1, logits.size());
    drop_below(logits.first(tied), last.weight);
    // After the last candidate an equal weight is out as well.
    drop_below(logits.subspan(tied), std::nextafter(last.weight, 2.0F));
  }
  return draw(logits, uniform_at(seed, choice, position));
}

}  // namespace inferneo::sample
