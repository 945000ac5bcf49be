// Whether a model can serve a request at all: ids within the vocabulary, lengths within the context
// and the pool, parameters in their ranges. The endpoint has checked shapes; here they meet the
// model.
// Thread: any. Failures: invalid_argument; where() names the parameter as OpenAI spells it.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "request/generate_request.h"

namespace inferneo::engine {

struct RequestLimits {
  std::int32_t vocab_size = 0;
  std::int32_t context_tokens_max = 0;  // prompt plus output
  std::int32_t kv_block_count = 0;
  std::int32_t running_sequence_count_max = 0;
  bool generates = true;              // makes text
  bool makes_vectors = false;         // has hidden states to pool
  std::int32_t whole_prompt_max = 0;  // of prompts that must fit one step; 0 for any length
};

// `too_long` says that the failure is about lengths, which the metrics count apart.
Status check_request(const request::GenerateRequest& request,
                     const RequestLimits& limits,
                     bool& too_long);

}  // namespace inferneo::engine
