// Decides, step by step, which sequences compute how many tokens, and which must give their blocks
// back. Pure decisions over block ids and counts: no threads, no clock, no runner.
// Order everywhere: priority, arrival, choice (runs_before). Decode tokens first, then chunks of
// prompts being computed, then new admissions, all from one token budget.
// Thread: engine. Ownership: borrows sequences from enqueue() or start() until remove().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/active_request.h"
#include "kv/kv_cache.h"

namespace inferneo::engine {

struct SchedulerOptions {
  std::int32_t step_token_count_max = 0;
  std::int32_t running_sequence_count_max = 0;
  std::int32_t waiting_request_count_max = 0;
  // Rows of a step that may score prompt tokens, besides one row a sequence.
  std::int32_t prompt_row_count_max = 0;
};

class Scheduler {
 public:
  // `cache` must outlive the scheduler.
  Scheduler(const SchedulerOptions& options, kv::KvCache& cache);

  // A new request's first sequence, to be admitted later.
  void enqueue(Sequence& sequence);
  // A further choice whose table already shares the prompt: runs at once, in the slot that its
  // request holds since admission.
  void start(Sequence& sequence);
  // Forgets a waiting or running sequence; its table is the caller's to close.
  void remove(Sequence& sequence);

  // Plans one step: sets `scheduled` of the running sequences and makes room for those tokens.
  // Preempts from the end of the order when blocks run out. Schedules at least one token when there
  // is any sequence.
  void schedule();

  // In order; those with scheduled > 0 are in the step.
  [[nodiscard]] std::span<Sequence* const> running() const { return running_; }
  [[nodiscard]] std::span<Sequence* const> waiting() const { return waiting_; }
  // Sequences that the last schedule() moved from waiting to running.
  [[nodiscard]] std::span<Sequence* const> admitted() const { return admitted_; }
  [[nodiscard]] std::uint64_t preemption_count() const { return preemption_count_; }
  [[nodiscard]] bool empty() const { return running_.empty() && waiting_.empty(); }

 private:
  void schedule_running(bool decode);
  void schedule_chunk(Sequence& sequence);
  void admit_waiting();
  bool admit(Sequence& sequence);
  bool find_blocks(Sequence& sequence);
  bool preempt_for(const Sequence& sequence);
  void preempt_last();
  [[nodiscard]] std::int32_t chunk_size(const Sequence& sequence) const;
  [[nodiscard]] static std::int32_t prompt_rows_of(const Sequence& sequence, std::int32_t count);
  [[nodiscard]] static std::int32_t slots_of(const Sequence& sequence);

  SchedulerOptions options_;
  kv::KvCache& cache_;
  std::vector<Sequence*> waiting_;
  std::vector<Sequence*> running_;
  std::vector<Sequence*> admitted_;
  std::int32_t slots_used_ = 0;  // running sequences, and choices not born yet
  std::int32_t token_budget_ = 0;
  std::int32_t prompt_row_budget_ = 0;
  std::uint64_t preemption_count_ = 0;
  // The head that found too few blocks, and how many there were: it is not tried again before
  // there are more.
  const Sequence* blocked_ = nullptr;
  std::int32_t blocked_available_ = 0;
};

}  // namespace inferneo::engine
