#include "engine/engine_core.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"

namespace inferneo::engine {
namespace {

using request::FinishReason;

SchedulerOptions scheduler_options(const CoreOptions& options) {
  return {options.step_token_count_max,
          options.running_sequence_count_max,
          options.waiting_request_count_max,
          options.prompt_row_count_max,
          options.whole_sequences};
}

bool contains(std::span<const TokenId> ids, TokenId id) {
  return std::ranges::find(ids, id) != ids.end();
}

std::int32_t token_count_max(const ActiveRequest& request) {
  return request.prompt_count() + request.request.sampling.max_tokens;
}

kv::WindowOptions window_options(const CoreOptions& options, const runtime::ModelInfo& model) {
  if (model.memory.kv_window_block_bytes == 0) return {};
  const std::int32_t count = options.kv_window_block_count;
  return {count > 0 ? count : options.kv_block_count, model.memory.kv_window_reach};
}

std::int32_t blocks_max(const ActiveRequest& request) {
  return kv::KvCache::blocks_for(token_count_max(request));
}

// Forced tokens that may follow one drawn token. Why 32: the chunk stays a small part of a step.
constexpr std::size_t kForcedTokenCountMax = 32;

std::int32_t generated_count(const Sequence& sequence) {
  return sequence.token_count() - sequence.request->prompt_count();
}

// Whether the sequence's next token may be an end token: min_tokens does not hold any more, and
// what the request asks of its text is complete.
bool may_end(const Sequence& sequence) {
  return generated_count(sequence) >= sequence.request->request.sampling.min_tokens &&
         (sequence.constraint == nullptr || sequence.constraint->may_end());
}

}  // namespace

runtime::RunnerOptions EngineCore::runner_options(const CoreOptions& options) {
  return {std::max(options.kv_block_count, options.kv_block_count_max),
          options.step_token_count_max,
          options.running_sequence_count_max,
          options.running_sequence_count_max + options.prompt_row_count_max,
          options.kv_window_block_count};
}

EngineCore::EngineCore(const CoreOptions& options,
                       const runtime::ModelInfo& model,
                       runtime::GenerativeRunner& runner,
                       const Clock& clock,
                       observe::ModelMetrics& metrics)
    : options_(options),
      model_(model),
      runner_(runner),
      clock_(clock),
      metrics_(metrics),
      cache_(options.kv_block_count,
             options.prefix_cache,
             options.entropy,
             window_options(options, model),
             std::max(options.kv_block_count, options.kv_block_count_max)),
      pacer_(options.step_time_target),
      scheduler_(scheduler_options(options), cache_, pacer_),
      batch_(runner_options(options)),
      row_copy_(static_cast<std::size_t>(model.vocab_size)),
      entropy_(options.entropy) {
  requests_.reserve(static_cast<std::size_t>(options.waiting_request_count_max) +
                    static_cast<std::size_t>(options.running_sequence_count_max));
  // A step without ends, as in steady decoding, has one event a row.
  events_.reserve(static_cast<std::size_t>(runner_options(options).logit_row_count_max));
  if (cache_.pool().total() < cache_.pool().capacity()) {
    runner_.resize_cache(options.kv_block_count);
  }
  publish_pool();
}

void EngineCore::publish_pool() {
  metrics_.kv_blocks.set(measured_pool().total());
  metrics_.kv_bytes.set(static_cast<double>(model_.memory.kv_block_bytes) * cache_.pool().total() +
                        static_cast<double>(model_.memory.kv_window_block_bytes) *
                            cache_.window_pool().total());
}

void EngineCore::resize(std::int32_t kv_block_count) {
  const bool shrinks = kv_block_count < cache_.pool().total();
  if (shrinks) scheduler_.preempt_holders(static_cast<kv::BlockId>(kv_block_count));
  cache_.resize(kv_block_count);
  runner_.resize_cache(kv_block_count);
  publish_pool();
  update_gauges();
  DCHECK(cache_.consistent());
}

std::uint64_t EngineCore::pool_bookkeeping_bytes(std::int64_t kv_block_count_max) {
  return kv::KvCache::bookkeeping_bytes(kv_block_count_max);
}

void EngineCore::add(ActiveRequest& request) {
  request.arrival = arrival_count_++;
  request.sequences.resize(static_cast<std::size_t>(request.request.choice_count));
  for (std::size_t i = 0; i < request.sequences.size(); ++i) {
    request.sequences[i].request = &request;
    request.sequences[i].choice = static_cast<std::int32_t>(i);
  }
  request.unfinished_count = request.request.choice_count;
  request.sequences[0].tokens = request.request.prompt;
  const request::SamplingParams& sampling = request.request.sampling;
  cache_.open(request.sequences[0].table, request.request.cache_salt, blocks_max(request));
  request.end_ids = sampling.stop_token_ids;
  if (!sampling.ignore_eos) {
    request.end_ids.insert(
        request.end_ids.end(), model_.eos_token_ids.begin(), model_.eos_token_ids.end());
  }
  next_deadline_ = std::min(next_deadline_, request.request.deadline);
  requests_.push_back(&request);
  scheduler_.enqueue(request.sequences[0]);
  // It may have been cancelled before it was known here.
  if (request.cancelled.load(std::memory_order_acquire)) signal();
}

std::span<const TokenEvent> EngineCore::step() {
  events_.clear();
  const TimePoint now = clock_.now();
  obey_signals(now);
  if (has_work()) {
    scheduler_.schedule();
    begin_admitted(now);
    run_step(now);
  }
  update_gauges();
  DCHECK(cache_.consistent());
  return events_;
}

void EngineCore::obey_signals(TimePoint now) {
  const std::uint64_t signals = signal_count_.load(std::memory_order_acquire);
  if (signals == signals_seen_ && now < next_deadline_) return;
  signals_seen_ = signals;
  next_deadline_ = TimePoint::max();
  // From the back, because an ended request leaves the list.
  for (std::size_t i = requests_.size(); i-- > 0;) {
    ActiveRequest& request = *requests_[i];
    const TimePoint deadline = request.request.deadline;
    obey_signals(request, now);
    if (!request.ended) next_deadline_ = std::min(next_deadline_, deadline);
  }
}

void EngineCore::obey_signals(ActiveRequest& request, TimePoint now) {
  if (request.cancelled.load(std::memory_order_acquire)) {
    end(request, FinishReason::kAbort, cancelled("the request was cancelled"));
    return;
  }
  if (now >= request.request.deadline) {
    end(request,
        FinishReason::kAbort,
        deadline_exceeded(str("the request did not finish before its deadline, ",
                              to_seconds(now - request.submitted_at),
                              " s after it was submitted")));
    return;
  }
  const std::uint32_t stopped = request.stopped_choices.load(std::memory_order_acquire);
  if (stopped == 0) return;
  for (Sequence& sequence : request.sequences) {
    if ((stopped >> sequence.choice & 1U) == 0 || request.ended) continue;
    if (sequence.state != SequenceState::kFinished) finish(sequence);
  }
}

void EngineCore::begin_admitted(TimePoint now) {
  for (Sequence* sequence : scheduler_.admitted()) {
    if (!sequence->request->started) begin(*sequence->request, now);
  }
  const std::uint64_t preemptions = scheduler_.preemption_count();
  metrics_.preemptions.add(preemptions - preemptions_counted_);
  preemptions_counted_ = preemptions;
}

void EngineCore::begin(ActiveRequest& request, TimePoint now) {
  Sequence& first = request.sequences[0];
  request.started = true;
  first.tokens.reserve(static_cast<std::size_t>(token_count_max(request)));
  request.first_scheduled_at = now;
  request.cached_prompt_tokens = first.computed;
  if (request.request.pooling) {
    request.vector.assign(static_cast<std::size_t>(model_.vectors.hidden_size), 0.0F);
  } else {
    equip(first);
  }
  metrics_.queue_time.observe(to_seconds(now - request.submitted_at));
  metrics_.prompt_tokens.add(static_cast<std::uint64_t>(request.prompt_count()));
  if (options_.prefix_cache && request.prompt_rows_wanted() == 0) {
    metrics_.prefix_cache_queries.add(static_cast<std::uint64_t>(request.prompt_count()));
    metrics_.prefix_cache_hits.add(static_cast<std::uint64_t>(first.computed));
    if (first.waited_for_prefix) {
      metrics_.prefix_cache_awaited_hits.add(static_cast<std::uint64_t>(first.computed));
    }
  }
}

void EngineCore::run_step(TimePoint started_at) {
  const runtime::StepPlan& plan = batch_.build(scheduler_.running());
  // Invariant: with any sequence waiting or running, the first in order can compute a token.
  CHECK(!plan.token_ids.empty());
  const TimePoint submitted_at = clock_.now();
  const runtime::GenerativeRunner::Ticket ticket = runner_.submit(plan);
  prepare_masks();
  const runtime::StepResult result = runner_.wait(ticket);
  const TimePoint done_at = clock_.now();
  for (Sequence* sequence : scheduler_.running()) {
    sequence->computed += sequence->scheduled;
    sequence->scheduled = 0;
  }
  take_rows(result.logits, done_at);
  take_hidden_rows(result.hidden);
  publish_tokens();
  metrics_.steps.add();
  metrics_.step_tokens.observe(batch_.token_count());
  const TimePoint ended_at = clock_.now();
  metrics_.step_host_time.observe(to_seconds((submitted_at - started_at) + (ended_at - done_at)));
  pacer_.observe(scheduler_.stream_count(), scheduler_.prompt_token_count(), ended_at - started_at);
}

void EngineCore::take_rows(std::span<float> logits, TimePoint now) {
  const auto vocab = static_cast<std::size_t>(model_.vocab_size);
  for (std::size_t i = 0; i < batch_.rows().size(); ++i) {
    const RowOwner& owner = batch_.rows()[i];
    if (owner.sequence->request->ended) continue;
    const std::span<float> row = logits.subspan(i * vocab, vocab);
    if (owner.position + 1 < owner.sequence->token_count()) {
      take_prompt_row(*owner.sequence, owner.position, row);
    } else {
      take_row(*owner.sequence, row, now);
    }
  }
}

void EngineCore::take_prompt_row(Sequence& sequence,
                                 std::int32_t position,
                                 std::span<const float> row) {
  ActiveRequest& request = *sequence.request;
  const TokenId next = sequence.tokens[static_cast<std::size_t>(position) + 1];
  TokenEvent event;
  event.kind = TokenEvent::Kind::kPromptToken;
  event.has_logprob = true;
  event.request = &request;
  event.sampled = sample::score_row(row, next, *request.request.sampling.prompt_logprobs);
  if (!event.sampled.finite) {
    fail_not_finite(request);
    return;
  }
  request.prompt_rows_scored = position + 1;
  events_.push_back(event);
}

void EngineCore::take_hidden_rows(std::span<const float> hidden) {
  const auto width = static_cast<std::size_t>(model_.vectors.hidden_size);
  for (std::size_t i = 0; i < batch_.hidden_rows().size(); ++i) {
    const RowOwner& owner = batch_.hidden_rows()[i];
    if (owner.sequence->request->ended) continue;
    take_hidden_row(*owner.sequence, owner.position, hidden.subspan(i * width, width));
  }
}

// Why sums of floats: texts have at most some thousand tokens of similar size, and the order is the
// order of the tokens, so that the sum does not depend on the chunks.
void EngineCore::take_hidden_row(Sequence& sequence,
                                 std::int32_t position,
                                 std::span<const float> row) {
  ActiveRequest& request = *sequence.request;
  if (!std::ranges::all_of(row, [](float value) { return std::isfinite(value); })) {
    fail_not_finite(request);
    return;
  }
  const bool is_last = position + 1 == sequence.token_count();
  const request::Pooling pooling = *request.request.pooling;
  const bool counts = pooling == request::Pooling::kMean ||
                      (pooling == request::Pooling::kCls ? position == 0 : is_last);
  if (counts) {
    std::ranges::transform(request.vector, row, request.vector.begin(), std::plus<>());
  }
  request.prompt_rows_scored =
      std::max(request.prompt_rows_scored, std::min(position + 1, request.prompt_rows_wanted()));
  if (!is_last) return;
  if (pooling == request::Pooling::kMean) {
    const auto count = static_cast<float>(request.prompt_count());
    for (float& value : request.vector) value /= count;
  }
  cache_.commit(sequence.table, sequence.tokens, sequence.computed);
  finish(sequence);
}

void EngineCore::take_row(Sequence& sequence, std::span<float> row, TimePoint now) {
  ActiveRequest& request = *sequence.request;
  if (request.request.sampling.max_tokens == 0) {
    end_with_prompt(sequence, row);
    return;
  }
  const bool shared_row = !request.forked && request.sequences.size() > 1;
  if (shared_row) std::ranges::copy(row, row_copy_.begin());
  const sample::Sampled sampled = draw(sequence, row);
  if (!sampled.finite) {
    fail_row(sequence, sampled);
    return;
  }
  // Only now: a finite row has attended to all of these blocks, so none of them is poisoned.
  cache_.commit(sequence.table, sequence.tokens, sequence.computed);
  sequence.fills_index = false;
  if (!request.forked) {
    fork(request, row, now);
    if (request.ended) return;
  }
  append(sequence, sampled, now);
}

// Why the row is computed all the same: it shows that the blocks are sound before they are shared.
void EngineCore::end_with_prompt(Sequence& sequence, std::span<const float> row) {
  ActiveRequest& request = *sequence.request;
  if (!sample::score_row(row, sequence.tokens.back(), 0).finite) {
    fail_not_finite(request);
    return;
  }
  cache_.commit(sequence.table, sequence.tokens, sequence.computed);
  end(request, FinishReason::kLength, ok_status());
}

// The prompt is computed: the other choices are born with its full blocks. The tokens of the last,
// partly filled block are computed again by each, because blocks cannot be copied.
void EngineCore::fork(ActiveRequest& request, std::span<float> row, TimePoint now) {
  request.forked = true;
  const Sequence& first = request.sequences[0];
  const std::int32_t full = request.prompt_count() / limits::kKvBlockSizeTokens;
  for (std::size_t i = 1; i < request.sequences.size(); ++i) {
    Sequence& sequence = request.sequences[i];
    sequence.tokens.reserve(static_cast<std::size_t>(token_count_max(request)));
    sequence.tokens = request.request.prompt;
    cache_.open(sequence.table, request.request.cache_salt, blocks_max(request));
    cache_.share(first.table, full, sequence.table);
    sequence.computed = full * limits::kKvBlockSizeTokens;
    equip(sequence);
    scheduler_.start(sequence);
    std::ranges::copy(row_copy_, row.begin());
    const sample::Sampled sampled = draw(sequence, row);
    if (!sampled.finite) {
      fail_row(sequence, sampled);
      return;
    }
    append(sequence, sampled, now);
    if (request.ended) return;
  }
}

void EngineCore::equip(Sequence& sequence) {
  const ActiveRequest& request = *sequence.request;
  sequence.sampler.emplace(make_sampler(request, sequence.choice));
  if (request.request.constraint != nullptr)
    sequence.constraint = request.request.constraint->start();
}

// The states keep their masks until the draw.
void EngineCore::prepare_masks() const {
  for (const RowOwner& owner : batch_.rows()) {
    Sequence& sequence = *owner.sequence;
    if (sequence.constraint == nullptr || owner.position + 1 < sequence.token_count()) continue;
    (void)sequence.constraint->mask();
  }
}

sample::Sampled EngineCore::draw(Sequence& sequence, std::span<float> row) {
  const std::span<const TokenId> end_ids = sequence.request->end_ids;
  const bool ends = may_end(sequence);
  const std::span<const TokenId> none;
  if (sequence.constraint == nullptr) return sequence.sampler->sample(row, ends ? none : end_ids);
  return sequence.sampler->sample(
      row, ends ? none : end_ids, {false, sequence.constraint->mask(), ends ? end_ids : none});
}

void EngineCore::append(Sequence& sequence, const sample::Sampled& sampled, TimePoint now) {
  ActiveRequest& request = *sequence.request;
  const request::SamplingParams& sampling = request.request.sampling;
  const std::int32_t generated = generated_count(sequence);
  const bool is_end_id = may_end(sequence) && contains(request.end_ids, sampled.id);
  bool complete = false;
  if (sequence.constraint != nullptr && !is_end_id) {
    if (!sequence.constraint->accept(sampled.id)) {
      fail_row(sequence, sampled);
      return;
    }
    complete = sequence.constraint->must_end();
  }
  sequence.tokens.push_back(sampled.id);
  ++token_count_;
  measure_latency(sequence, now);

  TokenEvent event;
  event.kind = TokenEvent::Kind::kToken;
  event.has_logprob = sampling.logprobs.has_value();
  event.request = &request;
  event.choice = sequence.choice;
  event.sampled = sampled;
  if (is_end_id) {
    const bool kept = sampling.include_stop && contains(sampling.stop_token_ids, sampled.id);
    event.hidden = !kept;
  }
  event.finish = is_end_id || complete ? FinishReason::kStop : FinishReason::kLength;
  event.ends_choice = is_end_id || complete || generated + 1 == sampling.max_tokens;
  events_.push_back(event);
  if (event.ends_choice) {
    finish(sequence);
  } else if (sequence.constraint != nullptr && !sampling.logprobs) {
    append_forced(sequence);
  }
}

// Text that follows in any case is appended without a row for each token; the next step computes it
// as a chunk. Not where log probabilities are asked for, which need the rows.
void EngineCore::append_forced(Sequence& sequence) {
  ActiveRequest& request = *sequence.request;
  const request::SamplingParams& sampling = request.request.sampling;
  std::array<TokenId, kForcedTokenCountMax> ids;
  const std::span<const TokenId> forced = sequence.constraint->forced();
  const std::size_t count = std::min(forced.size(), ids.size());
  std::copy_n(forced.begin(), count, ids.begin());
  for (const TokenId id : std::span(ids).first(count)) {
    if (contains(request.end_ids, id) || !sequence.constraint->accept(id)) break;
    const bool complete = sequence.constraint->must_end();
    sequence.sampler->skip(id);
    sequence.tokens.push_back(id);
    ++token_count_;
    TokenEvent event;
    event.kind = TokenEvent::Kind::kToken;
    event.request = &request;
    event.choice = sequence.choice;
    event.sampled.id = id;
    event.finish = complete ? FinishReason::kStop : FinishReason::kLength;
    event.ends_choice = complete || generated_count(sequence) == sampling.max_tokens;
    events_.push_back(event);
    if (!event.ends_choice) continue;
    finish(sequence);
    return;
  }
}

void EngineCore::measure_latency(Sequence& sequence, TimePoint now) {
  ActiveRequest& request = *sequence.request;
  if (request.first_token_at == TimePoint{}) {
    request.first_token_at = now;
    metrics_.time_to_first_token.observe(to_seconds(now - request.submitted_at));
    metrics_.prefill_time.observe(to_seconds(now - request.first_scheduled_at));
    if (!request.request.is_probe) {
      metrics_.outcomes.observe_first_token(to_seconds(now - request.submitted_at),
                                            request.prompt_count() - request.cached_prompt_tokens);
    }
  }
  measure_pace(sequence, now);
  if (sequence.last_token_at != TimePoint{}) {
    const Duration interval = now - sequence.last_token_at;
    if (interval != interval_) publish_tokens();
    interval_ = interval;
    ++equal_interval_count_;
  }
  sequence.last_token_at = now;
}

void EngineCore::measure_pace(Sequence& sequence, TimePoint now) {
  if (sequence.pace_from == TimePoint{}) {
    sequence.pace_from = now;
    return;
  }
  if (++sequence.pace_count == sequence.pace_count_max) publish_pace(sequence, now);
}

void EngineCore::publish_pace(Sequence& sequence, TimePoint now) {
  if (sequence.pace_count == 0) return;
  if (!sequence.request->request.is_probe) {
    metrics_.outcomes.observe_inter_token(to_seconds(now - sequence.pace_from) /
                                          sequence.pace_count);
  }
  sequence.pace_from = now;
  sequence.pace_count = 0;
  sequence.pace_count_max *= observe::kPaceGrowth;
}

// Sequences that decode side by side have equal intervals, so that this happens about once a step.
void EngineCore::publish_tokens() {
  metrics_.generation_tokens.add(std::exchange(token_count_, 0));
  if (equal_interval_count_ == 0) return;
  metrics_.inter_token_latency.observe(to_seconds(interval_),
                                       std::exchange(equal_interval_count_, 0));
}

void EngineCore::finish(Sequence& sequence) {
  scheduler_.remove(sequence);
  cache_.close(sequence.table);
  sequence.sampler.reset();
  publish_pace(sequence, sequence.last_token_at);
  sequence.constraint.reset();
  ActiveRequest& request = *sequence.request;
  if (--request.unfinished_count == 0) end(request, FinishReason::kStop, ok_status());
}

void EngineCore::fail_row(Sequence& sequence, const sample::Sampled& sampled) {
  ActiveRequest& request = *sequence.request;
  if (!sampled.blocked && !sampled.finite) {
    fail_not_finite(request);
    return;
  }
  Status status;
  if (sequence.constraint != nullptr) status = sequence.constraint->status();
  if (status.ok()) status = invalid_argument("no token may follow: all that could are excluded");
  end(request, FinishReason::kError, std::move(status));
}

void EngineCore::fail_not_finite(ActiveRequest& request) {
  metrics_.corrupted_requests.add();
  request.not_finite = true;
  for (Sequence& sequence : request.sequences) cache_.discard(sequence.table);
  end(request,
      FinishReason::kError,
      internal_error("the model computed logits that are not finite for this request"));
}

void EngineCore::end(ActiveRequest& request, FinishReason reason, Status status) {
  for (Sequence& sequence : request.sequences) {
    if (sequence.state == SequenceState::kFinished) continue;
    scheduler_.remove(sequence);
    cache_.close(sequence.table);
  }
  request.ended = true;
  request.ended_at = clock_.now();
  request.end_reason = reason;
  request.end_status = std::move(status);
  *std::ranges::find(requests_, &request) = requests_.back();
  requests_.pop_back();
  TokenEvent event;
  event.kind = TokenEvent::Kind::kEnd;
  event.request = &request;
  events_.push_back(event);
}

// The blocks that gauges count: those of whole sequences, or of windows where no others cost
// anything.
const kv::BlockPool& EngineCore::measured_pool() const {
  return model_.memory.kv_block_bytes > 0 || !cache_.has_window() ? cache_.pool()
                                                                  : cache_.window_pool();
}

void EngineCore::update_gauges() {
  const kv::BlockPool& pool = measured_pool();
  metrics_.requests_running.set(static_cast<double>(scheduler_.running().size()));
  metrics_.requests_waiting.set(static_cast<double>(scheduler_.waiting().size()));
  metrics_.kv_blocks_used.set(pool.used());
  metrics_.kv_blocks_cached.set(pool.cached());
  metrics_.kv_cache_usage.set(static_cast<double>(pool.used()) / pool.total());
  metrics_.last_step_age_seconds.set(0);
}

sample::Sampler EngineCore::make_sampler(const ActiveRequest& request, std::int32_t choice) {
  return sample::Sampler(
      request.request.sampling, choice, next_entropy(), model_.vocab_size, request.request.prompt);
}

// Spec: splitmix64 (Sebastiano Vigna, public domain).
std::uint64_t EngineCore::next_entropy() {
  entropy_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t value = entropy_;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace inferneo::engine
