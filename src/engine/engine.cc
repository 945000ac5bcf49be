#include "engine/engine.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>

#include "base/bounded_queue.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "engine/active_request.h"
#include "engine/check_request.h"
#include "engine/engine_core.h"
#include "engine/event_ring.h"
#include "engine/output_writer.h"

namespace inferneo::engine {
namespace {

using Refusal = observe::ModelMetrics::admission_refusals_label;

// Events of 16 steps of a full batch: enough that an output thread which is not scheduled for some
// milliseconds does not hold up the engine.
constexpr std::uint32_t kEventRingStepCount = 16;

std::uint64_t random_bits() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

Status check_options(const EngineOptions& options, const runtime::ModelInfo& model) {
  const auto at_least_one = [](std::int64_t value, const char* where) {
    if (value >= 1) return ok_status();
    return invalid_argument(str(where, " must be at least 1, not ", value)).with_where(where);
  };
  RETURN_IF_ERROR(at_least_one(options.kv_block_count, "kv_block_count"));
  if (options.kv_block_count_max != 0 && options.kv_block_count_max < options.kv_block_count) {
    return invalid_argument("kv_block_count_max is less than kv_block_count")
        .with_where("kv_block_count_max");
  }
  RETURN_IF_ERROR(at_least_one(options.running_sequence_count_max, "running_sequence_count_max"));
  RETURN_IF_ERROR(at_least_one(options.step_token_count_max, "step_token_count_max"));
  RETURN_IF_ERROR(at_least_one(options.waiting_request_count_max, "waiting_request_count_max"));
  if (model.memory.kv_window_block_bytes > 0) {
    const std::int32_t count =
        options.kv_window_block_count > 0 ? options.kv_window_block_count : options.kv_block_count;
    const std::int32_t least = model.memory.kv_window_blocks_for(limits::kKvBlockSizeTokens);
    if (count < least) {
      return invalid_argument(str("kv_window_block_count must be at least ",
                                  least,
                                  " for a window of ",
                                  model.memory.kv_window_reach + 1,
                                  " tokens, not ",
                                  count))
          .with_where("kv_window_block_count");
    }
  }
  if (options.context_tokens_max < 0) {
    return invalid_argument("context_tokens_max must not be negative")
        .with_where("context_tokens_max");
  }
  if (options.context_tokens_max > model.context_tokens_max) {
    return invalid_argument(str("context_tokens_max ",
                                options.context_tokens_max,
                                " is more than the model's own limit of ",
                                model.context_tokens_max,
                                " tokens"))
        .with_where("context_tokens_max");
  }
  if (options.step_time_target < Duration::zero()) {
    return invalid_argument("step_time_target must not be negative").with_where("step_time_target");
  }
  return ok_status();
}

CoreOptions core_options(const EngineOptions& options, const runtime::ModelInfo& model) {
  CoreOptions core;
  core.kv_block_count = options.kv_block_count;
  core.kv_block_count_max = options.kv_block_count_max;
  core.kv_window_block_count = options.kv_window_block_count;
  core.running_sequence_count_max = options.running_sequence_count_max;
  core.step_token_count_max = options.step_token_count_max;
  core.waiting_request_count_max = options.waiting_request_count_max;
  core.prefix_cache = options.prefix_cache && !model.vectors.bidirectional;
  core.entropy = random_bits();
  // Nothing streams from a model that takes its prompts whole.
  core.whole_sequences = model.vectors.bidirectional;
  if (!core.whole_sequences) core.step_time_target = options.step_time_target;
  if (!model.generates) core.prompt_row_count_max = options.step_token_count_max;
  return core;
}

RequestLimits make_request_limits(const EngineOptions& options, const runtime::ModelInfo& model) {
  RequestLimits limits;
  limits.vocab_size = model.vocab_size;
  limits.context_tokens_max =
      options.context_tokens_max > 0 ? options.context_tokens_max : model.context_tokens_max;
  // A pool shrinks to what a whole context needs at most, so that whatever was accepted can run.
  limits.kv_block_count =
      std::min(options.kv_block_count, kv::KvCache::blocks_for(limits.context_tokens_max));
  limits.running_sequence_count_max = options.running_sequence_count_max;
  limits.generates = model.generates;
  limits.makes_vectors = model.vectors.hidden_size > 0;
  if (model.vectors.bidirectional) limits.whole_prompt_max = options.step_token_count_max;
  return limits;
}

// Why: an exception that reaches a thread's entry is our own mistake (or memory has run out). State
// is unknown then, so the process ends, but not without a word.
template <typename Body>
void guard_thread(const std::string& name, Body&& body) noexcept {
  try {
    set_thread_name(name);
    body();
  } catch (const std::exception& error) {
    log::error(name, error.what());
    log::flush();
    std::terminate();
  }
}

}  // namespace

struct Engine::Impl {
  Impl(std::shared_ptr<const runtime::Model> model_in,
       std::shared_ptr<const text::Tokenizer> tokenizer_in,
       std::unique_ptr<runtime::GenerativeRunner> runner_in,
       const EngineOptions& options_in,
       const CoreOptions& core_in,
       const Clock& clock_in,
       observe::ModelMetrics& metrics_in);
  ~Impl();

  Result<request::RequestId> submit(request::GenerateRequest& request,
                                    std::shared_ptr<request::OutputSink> sink);
  void cancel(request::RequestId id);
  void begin_drain();
  bool drain(Duration timeout);
  EngineHealth health() const;

  // Any thread.
  Status refuse(Refusal reason, Status status);
  bool take_waiting_place();
  void cancel_all();
  void wake_engine();
  // Engine thread.
  void run_engine();
  void take_inbox();
  void run_round();
  void note_progress();
  void obey_pool_wish();
  // Output thread.
  void run_output();
  void forget(const ActiveRequest& request);

  const std::shared_ptr<const runtime::Model> model;
  const std::shared_ptr<const text::Tokenizer> tokenizer;
  const std::unique_ptr<runtime::GenerativeRunner> runner;
  const EngineOptions options;
  const RequestLimits request_limits;
  const Clock& clock;
  observe::ModelMetrics& metrics;
  EngineCore core;
  OutputWriter writer;
  EventRing ring;
  BoundedQueue<ActiveRequest*> inbox;

  // Rises with every reason for the engine thread to look up; it sleeps on it when idle.
  std::atomic<std::uint32_t> wake_count{0};
  std::atomic<bool> stop{false};
  std::atomic<std::int32_t> wanted_block_count{0};  // of the pool; 0: as it is
  std::atomic<std::int32_t> waiting_count{0};       // in the inbox and in the scheduler's queue
  std::atomic<Duration::rep> progress_at{0};
  std::int32_t scheduler_waiting_count = 0;  // engine thread; its share of waiting_count

  // Guards live requests and draining. The engine thread never takes it.
  mutable std::mutex mutex;
  std::condition_variable all_ended;
  std::unordered_map<request::RequestId, std::unique_ptr<ActiveRequest>> live;
  request::RequestId next_id;
  bool draining = false;

  std::jthread output_thread;
  std::jthread engine_thread;
};

Engine::Impl::Impl(std::shared_ptr<const runtime::Model> model_in,
                   std::shared_ptr<const text::Tokenizer> tokenizer_in,
                   std::unique_ptr<runtime::GenerativeRunner> runner_in,
                   const EngineOptions& options_in,
                   const CoreOptions& core_in,
                   const Clock& clock_in,
                   observe::ModelMetrics& metrics_in)
    : model(std::move(model_in)),
      tokenizer(std::move(tokenizer_in)),
      runner(std::move(runner_in)),
      options(options_in),
      request_limits(make_request_limits(options, model->info())),
      clock(clock_in),
      metrics(metrics_in),
      core(core_in, model->info(), *runner, clock, metrics),
      writer(tokenizer.get(), metrics),
      ring(kEventRingStepCount * static_cast<std::uint32_t>(options.running_sequence_count_max)),
      inbox(static_cast<std::size_t>(options.waiting_request_count_max)),
      // Why random: ids are to be unique in a process that may run several engines.
      next_id((random_bits() & 0xffffff) << 40 | 1) {
  metrics.weight_bytes.set(static_cast<double>(model->info().memory.weight_bytes));
  note_progress();
  output_thread = std::jthread(
      [this] { guard_thread(str("output-", options.name), [this] { run_output(); }); });
  engine_thread = std::jthread(
      [this] { guard_thread(str("engine-", options.name), [this] { run_engine(); }); });
}

Engine::Impl::~Impl() {
  begin_drain();
  cancel_all();
  stop.store(true, std::memory_order_release);
  wake_engine();
  engine_thread.join();
  output_thread.join();
}

Result<request::RequestId> Engine::Impl::submit(request::GenerateRequest& request,
                                                std::shared_ptr<request::OutputSink> sink) {
  bool too_long = false;
  if (Status status = check_request(request, request_limits, too_long); !status.ok()) {
    return refuse(too_long ? Refusal::too_long : Refusal::invalid, std::move(status));
  }
  if (!take_waiting_place()) {
    if (!request.is_probe) metrics.outcomes.count(observe::Outcome::kRefused, false);
    return refuse(Refusal::queue_full,
                  resource_exhausted(str("the queue of this model is full: ",
                                         options.waiting_request_count_max,
                                         " requests wait"))
                      .with_hint("try again later"));
  }
  auto active = std::make_unique<ActiveRequest>();
  active->submitted_at = clock.now();
  active->output = make_request_output(request, tokenizer.get(), std::move(sink));
  ActiveRequest* borrowed = active.get();
  request::RequestId id = 0;
  {
    const std::lock_guard lock(mutex);
    if (draining) {
      waiting_count.fetch_sub(1, std::memory_order_relaxed);
      return refuse(Refusal::draining, unavailable("the model is shutting down"));
    }
    // An idle engine has made no progress for as long as nobody asked; that is no stall.
    if (live.empty()) note_progress();
    id = next_id++;
    if (!request.is_probe) metrics.outcomes.count_begun(active->submitted_at);
    active->id = id;
    active->request = std::move(request);
    live.emplace(id, std::move(active));
  }
  // It holds at least as many as there are waiting places, and this one is taken.
  CHECK(inbox.try_push(borrowed));
  wake_engine();
  return id;
}

Status Engine::Impl::refuse(Refusal reason, Status status) {
  metrics.admission_refusals[static_cast<std::size_t>(reason)].add();
  return status;
}

bool Engine::Impl::take_waiting_place() {
  std::int32_t count = waiting_count.load(std::memory_order_relaxed);
  do {
    if (count >= options.waiting_request_count_max) return false;
  } while (!waiting_count.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
  return true;
}

void Engine::Impl::cancel(request::RequestId id) {
  {
    const std::lock_guard lock(mutex);
    const auto found = live.find(id);
    if (found == live.end()) return;
    found->second->cancelled.store(true, std::memory_order_release);
  }
  core.signal();
  wake_engine();
}

void Engine::Impl::cancel_all() {
  {
    const std::lock_guard lock(mutex);
    for (const auto& [id, active] : live) active->cancelled.store(true, std::memory_order_release);
  }
  core.signal();
  wake_engine();
}

void Engine::Impl::begin_drain() {
  const std::lock_guard lock(mutex);
  draining = true;
}

bool Engine::Impl::drain(Duration timeout) {
  begin_drain();
  // Why a cap: time points near the end of time overflow inside the wait.
  const Duration wait = std::min<Duration>(timeout, std::chrono::hours(24));
  std::unique_lock lock(mutex);
  if (all_ended.wait_for(lock, wait, [this] { return live.empty(); })) return true;
  lock.unlock();
  cancel_all();
  lock.lock();
  all_ended.wait(lock, [this] { return live.empty(); });
  return false;
}

EngineHealth Engine::Impl::health() const {
  EngineHealth health;
  {
    const std::lock_guard lock(mutex);
    health.work_pending = !live.empty();
    health.draining = draining;
  }
  const TimePoint progress(Duration(progress_at.load(std::memory_order_relaxed)));
  health.last_progress_age = std::max(Duration::zero(), clock.now() - progress);
  health.running = static_cast<std::int32_t>(metrics.requests_running.value());
  health.waiting = waiting_count.load(std::memory_order_relaxed);
  health.waiting_max = options.waiting_request_count_max;
  metrics.last_step_age_seconds.set(to_seconds(health.last_progress_age));
  return health;
}

void Engine::Impl::wake_engine() {
  wake_count.fetch_add(1, std::memory_order_release);
  wake_count.notify_one();
}

void Engine::Impl::run_engine() {
  for (;;) {
    // Read before looking for work: what comes later changes it and keeps the wait from sleeping.
    const std::uint32_t seen = wake_count.load(std::memory_order_acquire);
    obey_pool_wish();
    take_inbox();
    if (core.has_work()) {
      run_round();
    } else if (stop.load(std::memory_order_acquire)) {
      break;
    } else {
      wake_count.wait(seen, std::memory_order_acquire);
    }
  }
  const TokenEvent shutdown;
  ring.push({&shutdown, 1});
}

void Engine::Impl::obey_pool_wish() {
  const std::int32_t wanted = wanted_block_count.exchange(0, std::memory_order_acq_rel);
  if (wanted == 0) return;
  // Blocks of layers with a window go by another count, which stays as it is.
  if (!core.cache().has_window()) {
    core.resize(std::clamp(wanted, request_limits.kv_block_count, core.cache().pool().capacity()));
  }
  if (options.on_pool_resized) options.on_pool_resized(core.cache().pool().total());
}

void Engine::Impl::take_inbox() {
  // Why the size first: popping from an empty queue spins for a moment.
  while (inbox.size_approx() > 0) {
    const auto active = inbox.try_pop();
    if (!active) return;
    core.add(**active);
    ++scheduler_waiting_count;
  }
}

void Engine::Impl::run_round() {
  const std::span<const TokenEvent> events = core.step();
  ring.push(events);
  // Preempted sequences take places as well, so that priorities cannot pile up requests.
  const auto waiting = static_cast<std::int32_t>(core.scheduler().waiting().size());
  waiting_count.fetch_add(waiting - scheduler_waiting_count, std::memory_order_relaxed);
  scheduler_waiting_count = waiting;
  note_progress();
}

void Engine::Impl::note_progress() {
  progress_at.store(clock.now().time_since_epoch().count(), std::memory_order_relaxed);
}

void Engine::Impl::run_output() {
  for (;;) {
    const std::span<const TokenEvent> events = ring.wait();
    for (const TokenEvent& event : events) {
      if (event.kind == TokenEvent::Kind::kShutdown) return;
      if (writer.write(event)) core.signal();
      if (event.kind == TokenEvent::Kind::kEnd) forget(*event.request);
    }
    ring.release(events.size());
  }
}

void Engine::Impl::forget(const ActiveRequest& request) {
  // Destroyed after the lock is given up: its sink may be the last to know a connection.
  decltype(live)::node_type ended;
  const std::lock_guard lock(mutex);
  ended = live.extract(request.id);
  if (live.empty()) all_ended.notify_all();
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const runtime::Model> model,
                                               std::shared_ptr<const text::Tokenizer> tokenizer,
                                               const EngineOptions& options,
                                               const Clock& clock,
                                               observe::ModelMetrics& metrics) {
  RETURN_IF_ERROR(check_options(options, model->info()));
  const CoreOptions core = core_options(options, model->info());
  ASSIGN_OR_RETURN(auto runner, model->make_runner(EngineCore::runner_options(core)));
  auto impl = std::make_unique<Impl>(
      std::move(model), std::move(tokenizer), std::move(runner), options, core, clock, metrics);
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Result<request::RequestId> Engine::submit(request::GenerateRequest& request,
                                          std::shared_ptr<request::OutputSink> sink) {
  return impl_->submit(request, std::move(sink));
}

void Engine::cancel(request::RequestId id) { impl_->cancel(id); }
void Engine::resize_pool(std::int32_t kv_block_count) {
  impl_->wanted_block_count.store(std::max(kv_block_count, 1), std::memory_order_release);
  impl_->wake_engine();
}
void Engine::begin_drain() { impl_->begin_drain(); }
bool Engine::drain(Duration timeout) { return impl_->drain(timeout); }
EngineHealth Engine::health() const { return impl_->health(); }

}  // namespace inferneo::engine
