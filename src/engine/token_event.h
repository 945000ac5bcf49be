// What the engine thread tells the output thread: one record of fixed size per token or end.
// Thread: values any. Ownership: borrows the request, which lives until its kEnd was handled.
#pragma once

#include <cstdint>

#include "request/output.h"
#include "sample/sampler.h"

namespace inferneo::engine {

struct ActiveRequest;

struct TokenEvent {
  enum class Kind : std::uint8_t {
    kPromptToken,  // a scored prompt token, in order of position
    kToken,        // a generated token
    kEnd,          // of the request; the last event of it
    kShutdown,     // no request; nothing follows
  };

  Kind kind = Kind::kShutdown;
  bool has_logprob = false;
  // The token ends its choice with `finish`.
  bool ends_choice = false;
  // Counted, but neither text nor id is delivered (end tokens).
  bool hidden = false;
  request::FinishReason finish = request::FinishReason::kStop;
  std::int32_t choice = 0;
  ActiveRequest* request = nullptr;
  sample::Sampled sampled;
};

}  // namespace inferneo::engine
