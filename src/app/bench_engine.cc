#include "app/bench_engine.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace inferneo::app {
namespace {

// Waits for a number of requests and keeps how long each took.
class Stopwatch {
 public:
  void add(const request::RequestTiming& timing, const Status& status) {
    const std::lock_guard lock(mutex_);
    timings_.push_back(timing);
    if (!status.ok() && status_.ok()) status_ = status;
    changed_.notify_one();
  }

  Result<std::vector<request::RequestTiming>> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return timings_.size() == count; });
    if (!status_.ok()) return status_;
    return timings_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<request::RequestTiming> timings_;
  Status status_;
};

class TimingSink final : public request::OutputSink {
 public:
  explicit TimingSink(Stopwatch& stopwatch) : stopwatch_(stopwatch) {}
  void on_delta(request::OutputDelta&&) override {}
  void on_end(const request::Usage&,
              const request::RequestTiming& timing,
              const Status& status) override {
    stopwatch_.add(timing, status);
  }

 private:
  Stopwatch& stopwatch_;
};

std::int32_t blocks_for(std::int32_t tokens) {
  return (tokens + limits::kKvBlockSizeTokens - 1) / limits::kKvBlockSizeTokens;
}

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
    std::int32_t batch_max,
    std::int32_t context_tokens,
    std::int32_t prefill_tokens,
    const Clock& clock) {
  std::unique_ptr<BenchEngine> bench(new BenchEngine(std::move(model)));
  engine::EngineOptions options;
  options.name = "bench";
  options.running_sequence_count_max = batch_max;
  options.waiting_request_count_max = batch_max;
  options.step_token_count_max = std::max(prefill_tokens, limits::kStepTokenCountMax);
  options.kv_block_count =
      batch_max * (blocks_for(context_tokens) + 1) + blocks_for(prefill_tokens) + 1;
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

Result<double> BenchEngine::prefill(std::int32_t tokens) {
  Stopwatch stopwatch;
  request::GenerateRequest request = random_request(tokens, 1);
  RETURN_IF_ERROR(engine_->submit(request, std::make_shared<TimingSink>(stopwatch)).status());
  ASSIGN_OR_RETURN(const auto timings, stopwatch.wait_for(1));
  return to_seconds(timings[0].first_token - timings[0].queued);
}

Result<DecodeRun> BenchEngine::decode(std::int32_t batch,
                                      std::int32_t prompt_tokens,
                                      std::int32_t tokens) {
  Stopwatch stopwatch;
  const auto [host_before, steps_before] = totals(metrics_.step_host_time);
  std::vector<request::GenerateRequest> requests;
  for (std::int32_t i = 0; i < batch; ++i)
    requests.push_back(random_request(prompt_tokens, tokens));
  std::size_t submitted = 0;
  Status refused;
  for (request::GenerateRequest& request : requests) {
    refused = engine_->submit(request, std::make_shared<TimingSink>(stopwatch)).status();
    if (!refused.ok()) break;
    ++submitted;
  }
  ASSIGN_OR_RETURN(const auto timings, stopwatch.wait_for(submitted));
  RETURN_IF_ERROR(refused);
  const auto [host_after, steps_after] = totals(metrics_.step_host_time);

  double seconds = 0;
  for (const request::RequestTiming& timing : timings) {
    seconds += to_seconds(timing.total - timing.first_token);
  }
  seconds /= batch;
  DecodeRun run;
  run.tokens_per_s = batch * (tokens - 1) / seconds;
  run.host_s_per_step = (host_after - host_before) / std::max(1.0, steps_after - steps_before);
  return run;
}

}  // namespace inferneo::app
