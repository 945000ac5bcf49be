// A request on its way through the engine, and its sequences (one a choice).
// Ownership: the engine's table of live requests owns it from submission until its sink has been
// told the end; engine and output thread borrow it in between.
// Thread: each member belongs to the thread its group names; atomics any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kv/kv_cache.h"
#include "observe/outcomes.h"
#include "request/generate_request.h"
#include "request/output.h"
#include "sample/sampler.h"

namespace inferneo::engine {

struct ActiveRequest;
struct RequestOutput;

enum class SequenceState : std::uint8_t {
  kUnborn,  // a further choice before the prompt has been computed
  kWaiting,
  kRunning,
  kFinished,
};

// One choice: its tokens, how far they are computed, and where.
// Invariant: computed < tokens.size() unless finished; the table covers `computed` tokens.
struct Sequence {
  ActiveRequest* request = nullptr;
  std::int32_t choice = 0;
  SequenceState state = SequenceState::kUnborn;
  std::vector<TokenId> tokens;  // prompt, then what was generated
  kv::BlockTable table;
  std::int32_t computed = 0;   // leading tokens whose keys and values are in the cache
  std::int32_t scheduled = 0;  // tokens of the step being planned or run
  bool fills_index = false;    // admitted, and its first row will enter its blocks into the index
  bool waited_for_prefix = false;  // for blocks that another one was computing
  // From first admission on; these survive preemption.
  std::optional<sample::Sampler> sampler;
  std::unique_ptr<request::ConstraintState> constraint;  // null: any text
  TimePoint last_token_at{};
  TimePoint pace_from{};        // of the tokens whose mean distance is being measured
  std::int32_t pace_count = 0;  // of them so far
  std::int32_t pace_count_max = observe::kPaceTokenCount;

  [[nodiscard]] std::int32_t token_count() const {
    return static_cast<std::int32_t>(tokens.size());
  }
  [[nodiscard]] std::int32_t pending() const { return token_count() - computed; }
};

struct ActiveRequest {
  // Constant after submission.
  request::RequestId id = 0;
  request::GenerateRequest request;
  TimePoint submitted_at{};

  // Any thread to engine; EngineCore::signal() makes the engine look.
  std::atomic<bool> cancelled{false};
  std::atomic<std::uint32_t> stopped_choices{0};  // bit c: choice c met a stop string

  // Engine thread.
  std::uint64_t arrival = 0;
  std::vector<Sequence> sequences;  // by choice; the first computes the prompt for all
  std::int32_t unfinished_count = 0;
  bool forked = false;   // the prompt has been computed and all choices were born
  bool started = false;  // was admitted at least once
  bool ended = false;
  // Prompt positions whose log probability was delivered, or whose hidden state was counted.
  std::int32_t prompt_rows_scored = 0;
  std::vector<TokenId> end_ids;  // end tokens and stop ids that end a choice

  // Engine thread until the end event is pushed, output thread from then on.
  TimePoint first_scheduled_at{};
  TimePoint first_token_at{};
  TimePoint ended_at{};
  std::int32_t cached_prompt_tokens = 0;
  bool not_finite = false;  // ended because of its logits
  Status end_status;
  std::vector<float> vector;  // of a request with pooling; complete when it ends well
  request::FinishReason end_reason = request::FinishReason::kStop;  // of choices still open

  // Output thread.
  std::unique_ptr<RequestOutput> output;

  ActiveRequest();
  ~ActiveRequest();
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;

  [[nodiscard]] std::int32_t prompt_count() const {
    return static_cast<std::int32_t>(request.prompt.size());
  }
  // Positions whose logits predict a prompt token that still has to be scored: all up to this one.
  // Of a request for a vector: positions whose hidden state counts, besides that of the last token.
  [[nodiscard]] std::int32_t prompt_rows_wanted() const {
    if (request.pooling == request::Pooling::kMean) return prompt_count();
    if (request.pooling == request::Pooling::kCls) return 1;
    return request.sampling.prompt_logprobs ? prompt_count() - 1 : 0;
  }
  // Tokens whose keys and values are computed at most; the last generated one's are never needed.
  [[nodiscard]] std::int32_t computed_count_max() const {
    return prompt_count() + std::max(request.sampling.max_tokens - 1, 0);
  }
};

// Scheduling order: higher priority, then earlier arrival, then lower choice.
bool runs_before(const Sequence& a, const Sequence& b);

}  // namespace inferneo::engine
