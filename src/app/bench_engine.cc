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

// The requests of one measurement. The window opens when each has its first token and closes with
// the last token of all. Thread: the sinks write, main waits.
class Window {
 public:
  explicit Window(std::int32_t requests) : requests_(requests) {}

  void add_tokens(std::int64_t count, bool first) {
    const std::lock_guard lock(mutex_);
    if (open_) tokens_ += count;
    if (!first || ++started_ < requests_) return;
    open_ = true;
    opened_ = std::chrono::steady_clock::now();
    opened_cpu_s_ = process_cpu_seconds();
  }

  void end(const request::RequestTiming& timing, const Status& status) {
    const std::lock_guard lock(mutex_);
    last_ = timing;
    if (!status.ok() && status_.ok()) status_ = status;
    if (++ended_ < requests_) return;
    run_ = {.seconds = to_seconds(std::chrono::steady_clock::now() - opened_),
            .cpu_seconds = process_cpu_seconds() - opened_cpu_s_,
            .tokens = tokens_};
    changed_.notify_one();
  }

  // A request that was refused never starts and never ends. Returns what the others measured.
  void give_up(std::int32_t requests) {
    const std::lock_guard lock(mutex_);
    requests_ -= requests;
  }

  Result<TimedRun> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= requests_; });
    if (!status_.ok()) return status_;
    return run_;
  }

  // Of the request that ended last; after wait().
  [[nodiscard]] const request::RequestTiming& last_timing() const { return last_; }
  [[nodiscard]] double opened_cpu_s() const { return opened_cpu_s_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int32_t requests_;
  std::int32_t started_ = 0;
  std::int32_t ended_ = 0;
  bool open_ = false;
  std::int64_t tokens_ = 0;
  TimePoint opened_{};
  double opened_cpu_s_ = 0;
  request::RequestTiming last_;
  TimedRun run_;
  Status status_;
};

class WindowSink final : public request::OutputSink {
 public:
  explicit WindowSink(Window& window) : window_(window) {}
  void on_delta(request::OutputDelta&& delta) override {
    if (delta.token_ids.empty()) return;
    window_.add_tokens(static_cast<std::int64_t>(delta.token_ids.size()),
                       !std::exchange(seen_, true));
  }
  void on_end(const request::Usage&,
              const request::RequestTiming& timing,
              const Status& status) override {
    window_.end(timing, status);
  }

 private:
  Window& window_;
  bool seen_ = false;
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
  std::unique_ptr<BenchEngine> bench(new BenchEngine(std::move(model)));
  engine::EngineOptions options;
  options.name = "bench";
  options.running_sequence_count_max = sequence_count_max;
  options.waiting_request_count_max = sequence_count_max;
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
  RETURN_IF_ERROR(engine_->submit(request, std::make_shared<WindowSink>(window)).status());
  RETURN_IF_ERROR(window.wait().status());
  const request::RequestTiming& timing = window.last_timing();
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
  std::int32_t submitted = 0;
  Status refused;
  for (request::GenerateRequest& request : requests) {
    refused = engine_->submit(request, std::make_shared<WindowSink>(window)).status();
    if (!refused.ok()) break;
    ++submitted;
  }
  window.give_up(batch - submitted);
  ASSIGN_OR_RETURN(TimedRun run, window.wait());
  RETURN_IF_ERROR(refused);
  run.prompt_seconds = to_seconds(window.last_timing().first_token);
  const auto [host_after, steps_after] = totals(metrics_.step_host_time);
  run.host_s_per_step = (host_after - host_before) / std::max(1.0, steps_after - steps_before);
  return run;
}

}  // namespace inferneo::app
