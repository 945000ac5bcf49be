// Everything between the inbox and the token events: scheduler, key/value cache, step, sampling.
// Has no threads and no queues, so that a test or the simulator can drive it step by step.
// Thread: engine, except signal(). Ownership: borrows requests from add() until their kEnd event;
// runner, clock and metrics must outlive it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "engine/active_request.h"
#include "engine/scheduler.h"
#include "engine/step_batch.h"
#include "engine/step_pacer.h"
#include "engine/token_event.h"
#include "kv/kv_cache.h"
#include "observe/metrics.h"
#include "runtime/runtime.h"

namespace inferneo::engine {

// Rows of logits of prompt tokens in one step. Why: prompt scoring may not make the runner hold a
// row for each token of a step; with a vocabulary of 150,000 these are 38 MB.
inline constexpr std::int32_t kPromptRowCountMax = 64;

struct CoreOptions {
  std::int32_t kv_block_count = 0;
  std::int32_t running_sequence_count_max = 0;
  std::int32_t step_token_count_max = 0;
  std::int32_t waiting_request_count_max = 0;
  bool prefix_cache = true;
  // Seeds the draws of requests without a seed, and the hash of the prefix index.
  std::uint64_t entropy = 0;
  // How long a step may take while streams run beside prompts; zero for no pace.
  Duration step_time_target{};
  // Rows of prompt tokens in one step besides one a sequence.
  std::int32_t prompt_row_count_max = kPromptRowCountMax;
  bool whole_sequences = false;  // see VectorInfo::bidirectional
  // Blocks of layers with a window (kv/kv_cache.h); 0: as many as of the others. At least
  // kv::window_blocks_for(reach, 16) of them.
  std::int32_t kv_window_block_count = 0;
  std::int32_t kv_block_count_max = 0;  // up to how many resize() may go; 0: as kv_block_count
};

class EngineCore {
 public:
  // What the runner must be made for.
  static runtime::RunnerOptions runner_options(const CoreOptions& options);

  EngineCore(const CoreOptions& options,
             const runtime::ModelInfo& model,
             runtime::GenerativeRunner& runner,
             const Clock& clock,
             observe::ModelMetrics& metrics);
  EngineCore(const EngineCore&) = delete;
  EngineCore& operator=(const EngineCore&) = delete;

  // Takes up a validated request (check_request). Allocates.
  void add(ActiveRequest& request);

  // One round: obeys cancellations, stops and deadlines, schedules, runs the model, samples.
  // Returns the events of this round, valid until the next one. Does nothing when !has_work().
  // Allocates only for requests that begin, fork or fail in it.
  std::span<const TokenEvent> step();

  // Between two steps: from now on the pool has so many blocks. Sequences that hold others are
  // computed again, and the memory of those goes back to the system. Precondition: 1 to
  // kv_block_count_max, and every request that was added fits.
  void resize(std::int32_t kv_block_count);
  // Memory that a pool of so many blocks takes beside what the runner holds.
  [[nodiscard]] static std::uint64_t pool_bookkeeping_bytes(std::int64_t kv_block_count_max);

  // Thread: any. After a change to a request's atomics: makes the next step look at them.
  void signal() { signal_count_.fetch_add(1, std::memory_order_release); }

  [[nodiscard]] bool has_work() const { return !requests_.empty(); }
  [[nodiscard]] const Scheduler& scheduler() const { return scheduler_; }
  [[nodiscard]] const kv::KvCache& cache() const { return cache_; }
  [[nodiscard]] const StepPacer& pacer() const { return pacer_; }
  [[nodiscard]] std::span<ActiveRequest* const> requests() const { return requests_; }

 private:
  void obey_signals(TimePoint now);
  void obey_signals(ActiveRequest& request, TimePoint now);
  void begin_admitted(TimePoint now);
  void begin(ActiveRequest& request, TimePoint now);
  void run_step(TimePoint started_at);
  void take_rows(std::span<float> logits, TimePoint now);
  void take_prompt_row(Sequence& sequence, std::int32_t position, std::span<const float> row);
  void take_row(Sequence& sequence, std::span<float> row, TimePoint now);
  // Of a request that generates nothing.
  void end_with_prompt(Sequence& sequence, std::span<const float> row);
  void take_hidden_rows(std::span<const float> hidden);
  void take_hidden_row(Sequence& sequence, std::int32_t position, std::span<const float> row);
  void fork(ActiveRequest& request, std::span<float> row, TimePoint now);
  // What every choice begins with.
  void equip(Sequence& sequence);
  // Asks for the masks of the rows that are being computed.
  void prepare_masks() const;
  [[nodiscard]] static sample::Sampled draw(Sequence& sequence, std::span<float> row);
  void append(Sequence& sequence, const sample::Sampled& sampled, TimePoint now);
  void append_forced(Sequence& sequence);
  // Ends the request because of a row that gave no token.
  void fail_row(Sequence& sequence, const sample::Sampled& sampled);
  void finish(Sequence& sequence);
  void fail_not_finite(ActiveRequest& request);
  void end(ActiveRequest& request, request::FinishReason reason, Status status);
  void measure_latency(Sequence& sequence, TimePoint now);
  void measure_pace(Sequence& sequence, TimePoint now);
  void publish_pace(Sequence& sequence, TimePoint now);
  void publish_tokens();
  [[nodiscard]] const kv::BlockPool& measured_pool() const;
  void update_gauges();
  void publish_pool();
  [[nodiscard]] sample::Sampler make_sampler(const ActiveRequest& request, std::int32_t choice);
  [[nodiscard]] std::uint64_t next_entropy();

  CoreOptions options_;
  const runtime::ModelInfo& model_;
  runtime::GenerativeRunner& runner_;
  const Clock& clock_;
  observe::ModelMetrics& metrics_;
  kv::KvCache cache_;
  StepPacer pacer_;
  Scheduler scheduler_;
  StepBatch batch_;
  std::vector<ActiveRequest*> requests_;  // all that have not ended
  std::vector<TokenEvent> events_;
  std::vector<float> row_copy_;  // Shape: [vocab_size], for choices that share a row
  std::uint64_t entropy_;
  std::uint64_t arrival_count_ = 0;
  std::uint64_t preemptions_counted_ = 0;
  // Tokens of the step, and of these the last ones that came equally long after their predecessors.
  std::uint64_t token_count_ = 0;
  std::uint64_t equal_interval_count_ = 0;
  Duration interval_{};
  TimePoint next_deadline_ = TimePoint::max();
  std::uint64_t signals_seen_ = 0;
  std::atomic<std::uint64_t> signal_count_{0};
};

}  // namespace inferneo::engine
