#include "app/bench_engine.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace inferneo::app {
namespace {

double process_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What one request of a measurement did, on the engine's clock.
struct Trace {
  TimePoint submitted{};
  request::RequestTiming timing;

  [[nodiscard]] TimePoint first_token() const { return submitted + timing.first_token; }
  [[nodiscard]] TimePoint end() const { return submitted + timing.total; }
};

// The requests of one measurement. Times come from the engine: the sinks run on the output thread,
// which may lag behind. Processor time is read there, over a window that opens when each request
// has its first token. Thread: the sinks write, main waits.
class Window {
 public:
  explicit Window(std::int32_t requests) : traces_(static_cast<std::size_t>(requests)) {
    left_ = requests;
    unstarted_ = requests;
  }

  void submitted(std::size_t index, TimePoint now) {
    const std::lock_guard lock(mutex_);
    traces_[index].submitted = now;
  }

  void first_token() {
    const std::lock_guard lock(mutex_);
    if (--unstarted_ > 0) return;
    opened_ = std::chrono::steady_clock::now();
    opened_cpu_s_ = process_cpu_seconds();
  }

  void end(std::size_t index, const request::RequestTiming& timing, const Status& status) {
    const std::lock_guard lock(mutex_);
    traces_[index].timing = timing;
    if (!status.ok() && status_.ok()) status_ = status;
    if (--left_ > 0) return;
    cpu_s_ = process_cpu_seconds() - opened_cpu_s_;
    open_s_ = to_seconds(std::chrono::steady_clock::now() - opened_);
    changed_.notify_one();
  }

  // Requests from `index` on were refused: they never start and never end.
  void give_up_from(std::size_t index) {
    const std::lock_guard lock(mutex_);
    left_ -= static_cast<std::int32_t>(traces_.size() - index);
    traces_.resize(index);
  }

  Status wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return left_ <= 0; });
    return status_;
  }

  // After wait().
  [[nodiscard]] const std::vector<Trace>& traces() const { return traces_; }
  [[nodiscard]] double opened_cpu_s() const { return opened_cpu_s_; }
  // Processors busy while the window was open.
  [[nodiscard]] double cpus_used() const { return open_s_ > 0 ? cpu_s_ / open_s_ : 0; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Trace> traces_;
  std::int32_t left_ = 0;
  std::int32_t unstarted_ = 0;
  TimePoint opened_{};
  double opened_cpu_s_ = 0;
  double open_s_ = 0;
  double cpu_s_ = 0;
  Status status_;
};

// Decoding from when the last request has its first token to when it ends, each request giving
// `tokens` tokens. Requests that started in earlier steps end as many steps earlier; what they
// gave before is not counted.
TimedRun decode_run(const Window& window, std::int32_t tokens) {
  std::vector<TimePoint> starts;
  for (const Trace& trace : window.traces()) starts.push_back(trace.first_token());
  std::ranges::sort(starts);
  const Trace& last = *std::ranges::max_element(window.traces(), {}, &Trace::first_token);
  TimedRun run;
  run.seconds = to_seconds(last.end() - last.first_token());
  run.cpu_seconds = window.cpus_used() * run.seconds;
  run.prompt_seconds = to_seconds(last.first_token() - window.traces().front().submitted);
  // First tokens of one step lie together; those of two steps are a step or more apart.
  const double apart_s = 0.5 * run.seconds / tokens;
  std::int64_t steps_before = 0;
  for (std::size_t i = starts.size(); i-- > 0;) {
    if (i + 1 < starts.size() && to_seconds(starts[i + 1] - starts[i]) > apart_s) ++steps_before;
    run.tokens += std::max<std::int64_t>(0, tokens - 1 - steps_before);
  }
  return run;
}

class WindowSink final : public request::OutputSink {
 public:
  WindowSink(Window& window, std::size_t index) : window_(window), index_(index) {}
  void on_delta(request::OutputDelta&& delta) override {
    if (!delta.token_ids.empty() && !std::exchange(started_, true)) window_.first_token();
  }
  void on_end(const request::Usage&,
              const request::RequestTiming& timing,
              const Status& status) override {
    window_.end(index_, timing, status);
  }

 private:
  Window& window_;
  std::size_t index_;
  bool started_ = false;
};

// Sum and number of the observations of a histogram.
std::pair<double, double> totals(const observe::Histogram& histogram) {
  double count = 0;
  for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) {
    count += static_cast<double>(histogram.bucket(i));
  }
  return {histogram.sum(), count};
}

}  // namespace

Result<std::unique_ptr<BenchEngine>> BenchEngine::create(
    std::shared_ptr<const runtime::Model> model,
    std::int32_t sequence_count_max,
    std::int64_t kv_token_count,
    const Clock& clock) {
  std::unique_ptr<BenchEngine> bench(new BenchEngine(std::move(model), clock));
  engine::EngineOptions options;
  options.name = "bench";
  options.running_sequence_count_max = sequence_count_max;
  // A request that has just ended may still be counted when the next measurement begins.
  options.waiting_request_count_max = 2 * sequence_count_max;
  // Each sequence may leave its last block part empty and reserves one more.
  options.kv_block_count = static_cast<std::int32_t>((kv_token_count / limits::kKvBlockSizeTokens) +
                                                     std::int64_t{2} * (sequence_count_max + 1));
  options.prefix_cache = false;
  // What is measured is the batch, not the pace of those that begin to decode first.
  options.step_time_target = Duration::zero();
  ASSIGN_OR_RETURN(bench->engine_,
                   engine::Engine::create(bench->model_, nullptr, options, clock, bench->metrics_));
  return bench;
}

request::GenerateRequest BenchEngine::random_request(std::int32_t prompt_tokens,
                                                     std::int32_t tokens) {
  std::uniform_int_distribution<TokenId> id(0, model_->info().vocab_size - 1);
  request::GenerateRequest request;
  request.prompt.resize(static_cast<std::size_t>(prompt_tokens));
  std::ranges::generate(request.prompt, [&] { return id(random_); });
  request.sampling.temperature = 0;
  request.sampling.max_tokens = tokens;
  request.sampling.ignore_eos = true;
  return request;
}

Result<TimedRun> BenchEngine::prefill(std::int32_t tokens) {
  Window window(1);
  request::GenerateRequest request = random_request(tokens, 1);
  const double cpu_s = process_cpu_seconds();
  RETURN_IF_ERROR(engine_->submit(request, std::make_shared<WindowSink>(window, 0)).status());
  RETURN_IF_ERROR(window.wait());
  const request::RequestTiming& timing = window.traces().front().timing;
  return TimedRun{.seconds = to_seconds(timing.first_token - timing.queued),
                  .cpu_seconds = window.opened_cpu_s() - cpu_s,
                  .tokens = tokens};
}

Result<TimedRun> BenchEngine::decode(std::int32_t batch,
                                     std::int32_t prompt_tokens,
                                     std::int32_t tokens) {
  Window window(batch);
  const auto [host_before, steps_before] = totals(metrics_.step_host_time);
  std::vector<request::GenerateRequest> requests;
  for (std::int32_t i = 0; i < batch; ++i)
    requests.push_back(random_request(prompt_tokens, tokens));
  Status refused;
  for (std::size_t i = 0; i < requests.size() && refused.ok(); ++i) {
    window.submitted(i, clock_.now());
    refused = engine_->submit(requests[i], std::make_shared<WindowSink>(window, i)).status();
    if (!refused.ok()) window.give_up_from(i);
  }
  RETURN_IF_ERROR(window.wait());
  RETURN_IF_ERROR(refused);
  const auto [host_after, steps_after] = totals(metrics_.step_host_time);

  TimedRun run = decode_run(window, tokens);
  run.host_s_per_step = (host_after - host_before) / std::max(1.0, steps_after - steps_before);
  return run;
}

}  // namespace inferneo::app
