// Chooses the next token of one sequence from its logits: penalties, bias, temperature, truncation,
// then a draw. One instance per running choice; it owns the counts and the random state, so the
// draw depends only on the request (seed, choice index, position) and never on the batch.
// Order of the steps: logit_bias, repetition penalty (prompt and output), frequency and presence
// penalty (output), banned tokens, tokens that a constraint does not allow, temperature, min_p,
// top_k, top_p, draw. Each truncation works on the renormalised rest of the one before (as vLLM
// does). A temperature below 1e-5 is greedy: the largest logit before the temperature, the lowest
// id among equals. Thread: engine. Ownership: owned by the sequence; sample() allocates nothing
// after create().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/limits.h"
#include "request/sampling_params.h"
#include "request/token.h"
#include "request/token_constraint.h"

namespace inferneo::sample {

struct TopLogprob {
  TokenId id = 0;
  float logprob = 0;
};

struct Sampled {
  TokenId id = 0;
  // False: the row held NaN or +inf anywhere or nothing but -inf, or no token may be drawn; the
  // rest has no meaning.
  bool finite = true;
  // The row was good, but every token was banned or not allowed.
  bool blocked = false;
  // log softmax of the raw logits (before penalties and temperature) at id; only when asked for.
  // Can be -inf where the logit is.
  float logprob = 0;
  std::int32_t top_count = 0;
  std::array<TopLogprob, limits::kTopLogprobsMax> top;  // most likely first, ties by lower id
};

// What a constraint leaves to choose from.
struct Allowed {
  bool everything = true;  // no constraint: the rest has no meaning
  request::TokenMask mask;
  std::span<const TokenId> besides;  // allowed whatever the mask says (end tokens)
};

class Sampler {
 public:
  // `choice` decorrelates the n continuations of a seeded request. Without a seed the state comes
  // from `entropy`. Counts of `prompt` feed the repetition penalty.
  Sampler(const request::SamplingParams& params,
          std::int32_t choice,
          std::uint64_t entropy,
          std::int32_t vocab_size,
          std::span<const TokenId> prompt);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  // Draws the next token and counts it. `logits` (vocab_size of them) may be overwritten.
  // `banned` ids (end tokens while min_tokens holds) cannot be drawn. After preemption the sequence
  // keeps its sampler, so nothing is drawn twice.
  Sampled sample(std::span<float> logits,
                 std::span<const TokenId> banned,
                 const Allowed& allowed = {});
  // Counts a token that was appended without a draw; the next draw is that of the next position.
  void skip(TokenId id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Log probability of `id` and the most likely `top_count` tokens of a raw row (prompt logprobs).
Sampled score_row(std::span<const float> logits, TokenId id, std::int32_t top_count);

}  // namespace inferneo::sample
