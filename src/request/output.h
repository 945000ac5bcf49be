// What a request produces: text pieces, log probabilities, the reason for the end, and usage.
// Thread: values any; OutputSink is called on the model's output thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "request/token.h"

namespace inferneo::request {

enum class FinishReason : std::uint8_t {
  kStop,    // end token, stop id or stop string
  kLength,  // max_tokens or the context is used up
  kAbort,   // cancelled by the client or by shutdown
  kError,   // contained fault; see the status
};

struct TokenAlternative {
  TokenId id = 0;
  float logprob = 0;
  std::string bytes;  // exact bytes of the token; may be part of a UTF-8 character
};

struct TokenLogprob {
  TokenId id = 0;
  // Absent for the first token of a prompt, which nothing predicts.
  std::optional<float> logprob;
  std::string bytes;
  std::vector<TokenAlternative> top;  // most likely first
};

// A piece of one choice. Concatenated texts of a choice are its whole answer.
struct OutputDelta {
  std::int32_t choice = 0;
  std::string text;  // valid UTF-8; never part of a stop string
  std::vector<TokenId> token_ids;
  std::vector<TokenLogprob> logprobs;         // of token_ids, when asked for
  std::vector<TokenLogprob> prompt_logprobs;  // once, with the first delta of choice 0
  std::optional<FinishReason> finish;         // set on the last delta of the choice
  // The stop string or id that ended the choice, if any.
  std::string stop_matched;
};

struct Usage {
  std::int32_t prompt_tokens = 0;
  std::int32_t cached_prompt_tokens = 0;  // served from the prefix cache
  std::int32_t completion_tokens = 0;     // over all choices
};

struct RequestTiming {
  Duration queued{};       // submission to first scheduling
  Duration first_token{};  // submission to first token
  Duration total{};        // submission to end
};

// Receives a request's output. Calls come in order and end with exactly one on_end.
// Thread: output; must not block and must not throw. Ownership: shared with the engine until on_end
// has returned.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void on_delta(OutputDelta&& delta) = 0;
  // Of a request with pooling, once, before on_end. Shape: [ModelInfo::hidden_size], not
  // normalised.
  virtual void on_vector(std::vector<float>&&) {}
  // `status` is not ok when the request failed as a whole (fault, deadline, cancellation).
  virtual void on_end(const Usage& usage, const RequestTiming& timing, const Status& status) = 0;
};

}  // namespace inferneo::request
