// Changes to single logits that the request asked for: bias and penalties on tokens already seen.
// Thread: one owner. Ownership: owns its counts; apply() and count() allocate nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "request/sampling_params.h"
#include "request/token.h"

namespace inferneo::sample {

class Penalties {
 public:
  // Ids outside the vocabulary are ignored. Memory: 4 bytes a vocabulary entry when the request
  // uses a penalty, else only the bias list.
  Penalties(const request::SamplingParams& params,
            std::int32_t vocab_size,
            std::span<const TokenId> prompt);

  // True when apply() can change a row.
  [[nodiscard]] bool active() const { return uses_counts_ || !bias_.empty(); }

  // In this order, as vLLM does:
  //   bias:        x += bias
  //   repetition:  x = x > 0 ? x / penalty : x * penalty   for tokens of prompt or output
  //   frequency:   x -= penalty * count in the output
  //   presence:    x -= penalty                            for tokens of the output
  // Results are clamped to finite values; -inf stays -inf. Cost: tokens seen plus biases.
  void apply(std::span<float> logits) const;

  // Counts an output token.
  void count(TokenId id);

 private:
  void see(TokenId id);

  float repetition_;
  float frequency_;
  float presence_;
  bool uses_counts_;
  std::vector<request::LogitBias> bias_;
  // One past the times that a token was generated; 0 for tokens not seen at all.
  std::vector<std::uint32_t> seen_count_;
  std::vector<TokenId> seen_;
};

}  // namespace inferneo::sample
