#include "engine/scheduler.h"

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace inferneo::engine {
namespace {

void insert_in_order(std::vector<Sequence*>& queue, Sequence& sequence) {
  const auto at = std::ranges::upper_bound(
      queue, &sequence, [](const Sequence* a, const Sequence* b) { return runs_before(*a, *b); });
  queue.insert(at, &sequence);
}

// Computes one token from all before it, as every running stream does.
bool decodes(const Sequence& sequence) { return sequence.pending() == 1; }

// Rows of its prompt are still to be delivered, so that all of it has to be computed.
bool scores_prompt(const Sequence& sequence) {
  const ActiveRequest& request = *sequence.request;
  return sequence.choice == 0 && request.prompt_rows_scored < request.prompt_rows_wanted();
}

// Blocks that may come from the index. Why not all: the logits of the last token are computed.
std::int32_t blocks_to_share(const Sequence& sequence) {
  return (sequence.token_count() - 1) / limits::kKvBlockSizeTokens;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, kv::KvCache& cache, const StepPacer& pacer)
    : options_(options), cache_(cache), pacer_(pacer) {
  const auto running = static_cast<std::size_t>(options.running_sequence_count_max);
  running_.reserve(running);
  admitted_.reserve(running);
  // Preempted sequences wait beside the requests that were never admitted.
  waiting_.reserve(running + static_cast<std::size_t>(options.waiting_request_count_max));
  window_chunk_max_ = options.step_token_count_max;
  if (cache.has_window()) {
    const std::int32_t least =
        kv::window_blocks_for(cache.window_reach(), limits::kKvBlockSizeTokens);
    const std::int32_t more = cache.window_pool().total() - least;
    CHECK(more >= 0);
    window_chunk_max_ = std::min(window_chunk_max_, (more + 1) * limits::kKvBlockSizeTokens);
  }
}

void Scheduler::enqueue(Sequence& sequence) {
  sequence.state = SequenceState::kWaiting;
  insert_in_order(waiting_, sequence);
}

void Scheduler::start(Sequence& sequence) {
  sequence.state = SequenceState::kRunning;
  insert_in_order(running_, sequence);
}

void Scheduler::remove(Sequence& sequence) {
  if (sequence.state == SequenceState::kRunning) {
    slots_used_ -= slots_of(sequence);
    running_.erase(std::ranges::find(running_, &sequence));
  } else if (sequence.state == SequenceState::kWaiting) {
    waiting_.erase(std::ranges::find(waiting_, &sequence));
    if (blocked_ == &sequence) blocked_ = nullptr;
  }
  sequence.scheduled = 0;
  sequence.state = SequenceState::kFinished;
}

void Scheduler::schedule() {
  admitted_.clear();
  stream_count_ = 0;
  prompt_token_count_ = 0;
  token_budget_ = options_.step_token_count_max;
  prompt_token_budget_ = token_budget_;
  prompt_row_budget_ = options_.prompt_row_count_max;
  if (empty()) return;
  // Why: with fewer tokens a step than sequences, the others could keep the first in order from
  // ever computing its prompt. One token is kept for it until it has been served.
  const bool first_waits =
      running_.empty() || (!waiting_.empty() && runs_before(*waiting_.front(), *running_.front()));
  const bool first_decodes = !first_waits && decodes(*running_.front());
  if (!first_decodes) --token_budget_;
  schedule_streams();
  prompt_token_budget_ = paced_token_count();
  if (first_waits) {
    --prompt_token_budget_;
  } else if (!first_decodes) {
    ++token_budget_;
  }
  schedule_prompts();
  if (first_waits) {
    ++token_budget_;
    ++prompt_token_budget_;
  }
  admit_waiting();
}

// In both, preemption takes from the end of running_, so what lies before `i` stays where it is.
void Scheduler::schedule_streams() {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (decodes(*running_[i])) schedule_chunk(*running_[i]);
  }
}

void Scheduler::schedule_prompts() {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (!decodes(*running_[i])) schedule_chunk(*running_[i]);
  }
}

// Prompt tokens that the pacer grants to this step; at least two, so that one can be kept.
std::int32_t Scheduler::paced_token_count() const {
  const auto prompts = static_cast<std::int32_t>(waiting_.size() + running_.size()) -
                       static_cast<std::int32_t>(std::ranges::count_if(
                           running_, [](const Sequence* s) { return decodes(*s); }));
  return pacer_.prompt_token_count_max(stream_count_, prompts);
}

// Gives the sequence a share of the budget and makes room for it. When blocks are missing, the last
// in order loses its own, which may be the sequence itself.
void Scheduler::schedule_chunk(Sequence& sequence) {
  const std::int32_t count = chunk_size(sequence);
  if (count <= 0) return;
  cache_.retire(sequence.table, sequence.computed, /*all=*/false);
  while (!make_room(sequence, sequence.computed + count)) {
    const bool itself = running_.back() == &sequence;
    preempt_last();
    if (itself) return;
  }
  sequence.scheduled = count;
  charge(sequence, count);
}

bool Scheduler::make_room(Sequence& sequence, std::int32_t token_count) {
  if (!cache_.extend(sequence.table, token_count)) return false;
  return cache_.extend_window(sequence.table, token_count) ||
         (retire_all() && cache_.extend_window(sequence.table, token_count));
}

// Window blocks that are kept only because they may still enter the index.
bool Scheduler::retire_all() {
  bool any = false;
  for (Sequence* sequence : running_) {
    any = cache_.retire(sequence->table, sequence->computed, /*all=*/true) || any;
  }
  return any;
}

// Takes `count` tokens of the sequence from the budgets of the step, or gives them back when it is
// negative.
void Scheduler::charge(const Sequence& sequence, std::int32_t count) {
  token_budget_ -= count;
  const std::int32_t rows = prompt_rows_of(sequence, std::abs(count));
  prompt_row_budget_ -= count > 0 ? rows : -rows;
  if (decodes(sequence)) {
    stream_count_ += count;
  } else {
    prompt_token_budget_ -= count;
    prompt_token_count_ += count;
  }
}

void Scheduler::admit_waiting() {
  while (!waiting_.empty() && std::min(token_budget_, prompt_token_budget_) > 0 &&
         admit(*waiting_.front())) {
  }
}

// Why nobody overtakes a head that does not fit: a stream of small requests would starve it.
bool Scheduler::admit(Sequence& sequence) {
  if (waits_for_prefix(sequence)) {
    sequence.waited_for_prefix = true;
    return false;
  }
  const std::int32_t slots = slots_of(sequence);
  while (slots_used_ + slots > options_.running_sequence_count_max) {
    if (!preempt_for(sequence)) return false;
  }
  if (!find_blocks(sequence)) return false;
  waiting_.erase(waiting_.begin());
  slots_used_ += slots;
  start(sequence);
  sequence.fills_index = cache_.prefix_cache() && !scores_prompt(sequence);
  admitted_.push_back(&sequence);
  schedule_chunk(sequence);
  return true;
}

// Adopts what the prefix cache has and takes blocks for all other known tokens. One more block than
// these must be there, so that the first decode step does not preempt at once.
bool Scheduler::find_blocks(Sequence& sequence) {
  if (is_blocked(sequence)) return false;
  const std::int32_t count = sequence.token_count();
  if (!scores_prompt(sequence)) {
    sequence.computed = cache_.match(sequence.table, sequence.tokens, blocks_to_share(sequence));
  }
  const std::int32_t at_most = kv::KvCache::blocks_for(sequence.request->computed_count_max());
  const std::int32_t needed = std::min(kv::KvCache::blocks_for(count) + 1, at_most) -
                              static_cast<std::int32_t>(sequence.table.blocks.size());
  while (needed > cache_.pool().available() || !find_window(sequence)) {
    if (preempt_for(sequence)) continue;
    cache_.release(sequence.table);
    sequence.computed = 0;
    blocked_ = &sequence;
    blocked_available_ = cache_.pool().available();
    blocked_window_available_ = cache_.window_pool().available();
    return false;
  }
  blocked_ = nullptr;
  CHECK(cache_.extend(sequence.table, count));
  return true;
}

bool Scheduler::is_blocked(const Sequence& sequence) const {
  return blocked_ == &sequence && cache_.pool().available() <= blocked_available_ &&
         cache_.window_pool().available() <= blocked_window_available_;
}

// Whether there are window blocks for its first step. They are taken step by step.
bool Scheduler::find_window(Sequence& sequence) {
  if (!cache_.has_window()) return true;
  const std::int32_t pending =
      std::min({sequence.pending(), window_chunk_max_, std::max(token_budget_, 1)});
  const std::int32_t needed = kv::KvCache::blocks_for(sequence.computed + pending) -
                              static_cast<std::int32_t>(sequence.table.window_blocks.size());
  return needed <= cache_.window_pool().available() ||
         (retire_all() && needed <= cache_.window_pool().available());
}

// Whether one before it in order is computing blocks that it can share once they are in the index.
// Why only one before it: that one has the first claim on the budget, so that waiting costs next to
// nothing, and when it ends, fails or is preempted this one goes on. Why not one that scores its
// prompt: it takes small steps.
bool Scheduler::waits_for_prefix(const Sequence& sequence) const {
  if (!cache_.prefix_cache() || scores_prompt(sequence)) return false;
  std::int32_t soon = 0;  // blocks
  for (const Sequence* other : running_) {
    if (!runs_before(*other, sequence)) break;
    if (!other->fills_index || other->table.root != sequence.table.root) continue;
    const auto differing = std::ranges::mismatch(other->tokens, sequence.tokens).in1;
    const auto common = static_cast<std::int32_t>(differing - other->tokens.begin());
    soon = std::max(soon, common / limits::kKvBlockSizeTokens);
  }
  soon = std::min(soon, blocks_to_share(sequence));
  return soon > 0 && cache_.count_matches(sequence.table, sequence.tokens, soon) < soon;
}

// Takes from a running sequence of strictly lower priority; false when there is none.
bool Scheduler::preempt_for(const Sequence& sequence) {
  if (running_.empty() ||
      running_.back()->request->request.priority >= sequence.request->request.priority) {
    return false;
  }
  preempt_last();
  return true;
}

void Scheduler::preempt_holders(kv::BlockId first) {
  for (std::size_t i = running_.size(); i-- > 0;) {
    const auto& blocks = running_[i]->table.blocks;
    if (std::ranges::any_of(blocks, [&](kv::BlockId block) { return block >= first; })) preempt(i);
  }
  // There may be fewer blocks than when it was last tried, and room for it all the same.
  blocked_ = nullptr;
}

void Scheduler::preempt(std::size_t index) {
  Sequence& victim = *running_[index];
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  slots_used_ -= slots_of(victim);
  charge(victim, -victim.scheduled);
  cache_.release(victim.table);
  victim.scheduled = 0;
  victim.computed = 0;
  victim.fills_index = false;
  ++preemption_count_;
  std::erase(admitted_, &victim);
  enqueue(victim);
}

std::int32_t Scheduler::chunk_size(const Sequence& sequence) const {
  if (decodes(sequence)) return std::min(1, token_budget_);
  const std::int32_t count =
      std::min({sequence.pending(), token_budget_, prompt_token_budget_, window_chunk_max_});
  if (options_.whole_sequences) return count == sequence.pending() ? count : 0;
  const ActiveRequest& request = *sequence.request;
  if (prompt_rows_of(sequence, count) <= prompt_row_budget_) return count;
  return std::max(sequence.computed, request.prompt_rows_scored) + prompt_row_budget_ -
         sequence.computed;
}

// Rows that score prompt tokens among the next `count` positions of the sequence.
std::int32_t Scheduler::prompt_rows_of(const Sequence& sequence, std::int32_t count) {
  const ActiveRequest& request = *sequence.request;
  if (sequence.choice != 0) return 0;
  const std::int32_t begin = std::max(sequence.computed, request.prompt_rows_scored);
  const std::int32_t end = std::min(sequence.computed + count, request.prompt_rows_wanted());
  return std::max(0, end - begin);
}

// Before its choices are born, the first sequence holds a slot for each, so that none of them has
// to wait while it shares blocks.
std::int32_t Scheduler::slots_of(const Sequence& sequence) {
  return sequence.request->forked ? 1 : sequence.request->request.choice_count;
}

}  // namespace inferneo::engine
