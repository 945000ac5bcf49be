// One request for text, as the engine sees it: token ids and parameters, never JSON.
// Thread: any (plain values). Ownership: moved into the engine on success.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "request/pooling.h"
#include "request/sampling_params.h"
#include "request/token.h"
#include "request/token_constraint.h"

namespace inferneo::request {

// Made by the engine at submission, never by the client; unique within the process.
using RequestId = std::uint64_t;

struct GenerateRequest {
  std::vector<TokenId> prompt;  // at least one token
  SamplingParams sampling;
  std::int32_t choice_count = 1;  // independent continuations of the same prompt ("n")
  // Higher runs first; equal priorities run in order of arrival.
  std::int32_t priority = 0;
  // Requests share cached prefix blocks only with requests of the same salt (one per tenant).
  std::string cache_salt;
  // Detokenization: leave out tokens marked special in the vocabulary.
  bool skip_special_tokens = true;
  // The prompt ends in the middle of a reply that this request continues (no text is repeated).
  bool echo = false;  // deliver the prompt's text (and its logprobs when asked) first
  TimePoint deadline = TimePoint::max();
  // Asked by the server itself (golden prompts): not counted among the version's outcomes.
  bool is_probe = false;
  // Set: nothing is generated (sampling.max_tokens is 0 and nothing else of it counts); the sink
  // gets the pooled output row of the model, OutputSink::on_vector.
  std::optional<Pooling> pooling;
  // Of two texts in one prompt, for models that tell them apart: the first token of the second
  // segment. At the prompt's end or behind it: there is one.
  std::int32_t second_begin = std::numeric_limits<std::int32_t>::max();
  // What each choice must spell; null for anything. Compiled against this model's vocabulary.
  std::shared_ptr<const TokenConstraint> constraint;
};

}  // namespace inferneo::request
