// How the next token is chosen. Values arrive validated by the endpoint and are checked again
// against the model (vocabulary, context) when the engine admits the request.
// Thread: any (plain values).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "request/token.h"

namespace inferneo::request {

struct LogitBias {
  TokenId id = 0;
  float bias = 0;  // added to the logit, -100 .. 100
};

struct SamplingParams {
  float temperature = 1.0F;  // 0 means greedy
  std::int32_t top_k = 0;    // 0 means all
  float top_p = 1.0F;        // (0, 1]
  float min_p = 0.0F;        // [0, 1], relative to the most likely token
  float presence_penalty = 0.0F;
  float frequency_penalty = 0.0F;
  float repetition_penalty = 1.0F;  // > 0; counts prompt and output tokens
  std::vector<LogitBias> logit_bias;
  std::optional<std::uint64_t> seed;

  // Generated tokens. With 0 a request ends when its prompt has been computed: it is for the
  // prompt's text and log probabilities.
  std::int32_t max_tokens = 16;
  std::int32_t min_tokens = 0;  // stop conditions wait for this many
  bool ignore_eos = false;
  std::vector<TokenId> stop_token_ids;  // besides the model's own end tokens
  std::vector<std::string> stop;        // matched on text, after detokenizing
  bool include_stop = false;            // keep the matched stop string in the output

  // Log probabilities of output tokens: absent for none, else how many alternatives (0..20).
  std::optional<std::int32_t> logprobs;
  // The same for prompt tokens.
  std::optional<std::int32_t> prompt_logprobs;
};

}  // namespace inferneo::request
