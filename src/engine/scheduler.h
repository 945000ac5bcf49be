// Decides, step by step, which sequences compute how many tokens, and which must give their blocks
// back. Pure decisions over block ids and counts: no threads, no clock, no runner.
// Order everywhere: priority, arrival, choice (runs_before). Decode tokens first, then chunks of
// prompts being computed, then new admissions, all from one token budget; of it, prompts get what
// the pacer allows beside running streams.
// Thread: engine. Ownership: borrows sequences from enqueue() or start() until remove().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/active_request.h"
#include "engine/step_pacer.h"
#include "kv/kv_cache.h"

namespace inferneo::engine {

struct SchedulerOptions {
  std::int32_t step_token_count_max = 0;
  std::int32_t running_sequence_count_max = 0;
  std::int32_t waiting_request_count_max = 0;
  // Rows of a step that may score prompt tokens, besides one row a sequence.
  std::int32_t prompt_row_count_max = 0;
  // Each prompt is computed in one step, with all of its rows; none is longer than a step.
  bool whole_sequences = false;
};

class Scheduler {
 public:
  // `cache` and `pacer` must outlive the scheduler.
  Scheduler(const SchedulerOptions& options, kv::KvCache& cache, const StepPacer& pacer);

  // A new request's first sequence, to be admitted later.
  void enqueue(Sequence& sequence);
  // A further choice whose table already shares the prompt: runs at once, in the slot that its
  // request holds since admission.
  void start(Sequence& sequence);
  // Forgets a waiting or running sequence; its table is the caller's to close.
  void remove(Sequence& sequence);

  // Takes the blocks of all sequences that hold one of `first` or above; they wait to be computed
  // again. Between two steps.
  void preempt_holders(kv::BlockId first);

  // Plans one step: sets `scheduled` of the running sequences and makes room for those tokens.
  // Preempts from the end of the order when blocks run out. Schedules at least one token when there
  // is any sequence.
  void schedule();

  // In order; those with scheduled > 0 are in the step.
  [[nodiscard]] std::span<Sequence* const> running() const { return running_; }
  [[nodiscard]] std::span<Sequence* const> waiting() const { return waiting_; }
  // Sequences that the last schedule() moved from waiting to running.
  [[nodiscard]] std::span<Sequence* const> admitted() const { return admitted_; }
  // Of the step that the last schedule() planned: sequences that decode, and tokens of prompts.
  [[nodiscard]] std::int32_t stream_count() const { return stream_count_; }
  [[nodiscard]] std::int32_t prompt_token_count() const { return prompt_token_count_; }
  [[nodiscard]] std::uint64_t preemption_count() const { return preemption_count_; }
  [[nodiscard]] bool empty() const { return running_.empty() && waiting_.empty(); }

 private:
  void schedule_streams();
  void schedule_prompts();
  void schedule_chunk(Sequence& sequence);
  void admit_waiting();
  bool admit(Sequence& sequence);
  bool find_blocks(Sequence& sequence);
  [[nodiscard]] bool is_blocked(const Sequence& sequence) const;
  bool find_window(Sequence& sequence);
  bool make_room(Sequence& sequence, std::int32_t token_count);
  bool retire_all();
  [[nodiscard]] bool waits_for_prefix(const Sequence& sequence) const;
  bool preempt_for(const Sequence& sequence);
  void preempt_last() { preempt(running_.size() - 1); }
  void preempt(std::size_t index);
  void charge(const Sequence& sequence, std::int32_t count);
  [[nodiscard]] std::int32_t paced_token_count() const;
  [[nodiscard]] std::int32_t chunk_size(const Sequence& sequence) const;
  [[nodiscard]] static std::int32_t prompt_rows_of(const Sequence& sequence, std::int32_t count);
  [[nodiscard]] static std::int32_t slots_of(const Sequence& sequence);

  SchedulerOptions options_;
  kv::KvCache& cache_;
  const StepPacer& pacer_;
  std::vector<Sequence*> waiting_;
  std::vector<Sequence*> running_;
  std::vector<Sequence*> admitted_;
  std::int32_t slots_used_ = 0;  // running sequences, and choices not born yet
  std::int32_t token_budget_ = 0;
  std::int32_t prompt_token_budget_ = 0;  // of token_budget_, for sequences that do not decode
  std::int32_t prompt_row_budget_ = 0;
  std::int32_t stream_count_ = 0;
  std::int32_t prompt_token_count_ = 0;
  std::uint64_t preemption_count_ = 0;
  // The head that found too few blocks, and how many there were: it is not tried again before
  // there are more.
  const Sequence* blocked_ = nullptr;
  std::int32_t blocked_available_ = 0;
  std::int32_t blocked_window_available_ = 0;
  std::int32_t window_chunk_max_ = 0;  // tokens of one step that the window pool can hold
};

}  // namespace inferneo::engine
