#include "sample/penalties.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace inferneo::sample {
namespace {

float clamp_finite(float x) {
  constexpr float kMax = std::numeric_limits<float>::max();
  return std::isinf(x) && x < 0 ? x : std::clamp(x, -kMax, kMax);
}

}  // namespace

Penalties::Penalties(const request::SamplingParams& params,
                     std::int32_t vocab_size,
                     std::span<const TokenId> prompt)
    : repetition_(params.repetition_penalty),
      frequency_(params.frequency_penalty),
      presence_(params.presence_penalty),
      uses_counts_(repetition_ != 1.0F || frequency_ != 0.0F || presence_ != 0.0F) {
  for (const request::LogitBias& bias : params.logit_bias) {
    if (bias.id >= 0 && bias.id < vocab_size && bias.bias != 0.0F) bias_.push_back(bias);
  }
  if (!uses_counts_) return;
  const auto vocabulary = static_cast<std::size_t>(std::max(vocab_size, 0));
  seen_count_.resize(vocabulary);
  const std::size_t output_count_max = static_cast<std::size_t>(std::max(params.max_tokens, 0));
  seen_.reserve(std::min(vocabulary, prompt.size() + output_count_max));
  if (repetition_ == 1.0F) return;
  for (const TokenId id : prompt) {
    if (id >= 0 && id < vocab_size) see(id);
  }
}

void Penalties::see(TokenId id) {
  std::uint32_t& count = seen_count_[static_cast<std::size_t>(id)];
  if (count != 0) return;
  count = 1;
  seen_.push_back(id);
}

void Penalties::count(TokenId id) {
  if (!uses_counts_ || id < 0 || static_cast<std::size_t>(id) >= seen_count_.size()) return;
  see(id);
  ++seen_count_[static_cast<std::size_t>(id)];
}

void Penalties::apply(std::span<float> logits) const {
  for (const request::LogitBias& bias : bias_) {
    const auto id = static_cast<std::size_t>(bias.id);
    if (id < logits.size()) logits[id] = clamp_finite(logits[id] + bias.bias);
  }
  for (const TokenId seen : seen_) {
    const auto id = static_cast<std::size_t>(seen);
    if (id >= logits.size() || std::isinf(logits[id])) continue;
    float x = logits[id];
    x = clamp_finite(x > 0 ? x / repetition_ : x * repetition_);
    const std::uint32_t output_count = seen_count_[id] - 1;
    if (output_count > 0) {
      x -= frequency_ * static_cast<float>(output_count);
      x -= presence_;
    }
    logits[id] = clamp_finite(x);
  }
}

}  // namespace inferneo::sample
