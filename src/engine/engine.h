// The engine of one model: continuous batching over a paged key/value cache. One thread owns all
// state and runs steps; a second turns tokens into text and calls the sinks. The contract is
// engine/README.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "observe/metrics.h"
#include "request/generate_request.h"
#include "request/output.h"
#include "runtime/runtime.h"
#include "text/tokenizer.h"

namespace inferneo::engine {

struct EngineOptions {
  std::string name;  // of the model, for thread names and logs
  std::int32_t kv_block_count = 0;
  std::int32_t kv_window_block_count = 0;  // of layers with a window; 0: as many as of the others
  std::int32_t running_sequence_count_max = limits::kRunningSequenceCountMax;
  std::int32_t step_token_count_max = limits::kStepTokenCountMax;
  std::int32_t waiting_request_count_max = limits::kWaitingRequestCountMax;
  // Prompt plus output; 0 means the model's own limit.
  std::int32_t context_tokens_max = 0;
  bool prefix_cache = true;
  // How long a step may take while streams run beside prompts; zero for no pace.
  Duration step_time_target = limits::kStepTimeTarget;
  std::int32_t kv_block_count_max = 0;  // up to how many resize_pool() may go; 0: as kv_block_count
  // Called with the pool's blocks after each resize_pool(). Thread: engine; must not block.
  std::function<void(std::int32_t)> on_pool_resized = {};
};

// A snapshot for health and admission; fields are read one by one and may be a step apart.
struct EngineHealth {
  bool work_pending = false;
  Duration last_progress_age{};  // since the last finished step, or since idle began
  std::int32_t running = 0;
  std::int32_t waiting = 0;
  std::int32_t waiting_max = 0;
  bool draining = false;
};

class Engine {
 public:
  // Starts both threads. `clock` and `metrics` must outlive the engine; `tokenizer` may be null for
  // models that are driven by token ids alone (texts are then empty).
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const runtime::Model> model,
                                                std::shared_ptr<const text::Tokenizer> tokenizer,
                                                const EngineOptions& options,
                                                const Clock& clock,
                                                observe::ModelMetrics& metrics);
  // Cancels what still runs, joins.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Thread: any. Takes the request only on success; then the sink gets exactly one on_end.
  // Failures: invalid_argument with where() naming the parameter (token id out of vocabulary,
  // prompt plus max_tokens beyond the context or the whole pool), resource_exhausted when the queue
  // is full, unavailable while draining.
  Result<request::RequestId> submit(request::GenerateRequest& request,
                                    std::shared_ptr<request::OutputSink> sink);

  // Thread: any. Frees the request's blocks within one step; its sink ends with kAbort. Unknown or
  // finished ids are ignored.
  void cancel(request::RequestId id);

  // Thread: any. Gives the pool another size before the next step, while requests run: those whose
  // blocks go are computed again, with the same answers. Brought into the range from one whole
  // context to kv_block_count_max; of several wishes the last one counts. The pool of a
  // model with windows stays as it is.
  void resize_pool(std::int32_t kv_block_count);

  // Thread: any. Refuses new requests from now on.
  void begin_drain();
  // Blocks until all requests have ended or `timeout` has passed; then cancels the rest.
  // Returns true when nothing had to be cancelled.
  bool drain(Duration timeout);

  // Thread: any.
  [[nodiscard]] EngineHealth health() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::engine
