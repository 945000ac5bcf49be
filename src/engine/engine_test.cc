// The engine with its threads, against the fake runtime.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <ctime>
#include <future>
#include <mutex>
#include <thread>

#include "runtime/fake_runtime.h"

namespace inferneo::engine {
namespace {

using request::FinishReason;

class Sink final : public request::OutputSink {
 public:
  explicit Sink(Duration delay = {}) : delay_(delay) {}
  void on_delta(request::OutputDelta&& delta) override {
    if (delay_ > Duration::zero()) std::this_thread::sleep_for(delay_);
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(ended_);
    tokens_.insert(tokens_.end(), delta.token_ids.begin(), delta.token_ids.end());
    if (delta.finish) finish_ = delta.finish;
    changed_.notify_all();
  }
  void on_end(const request::Usage& usage,
              const request::RequestTiming& timing,
              const Status& status) override {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(ended_);
    ended_ = true;
    usage_ = usage;
    timing_ = timing;
    status_ = status;
    changed_.notify_all();
  }
  Status wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    return status_;
  }
  void wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ || tokens_.size() >= count; });
  }
  std::vector<TokenId> tokens() {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  std::optional<FinishReason> finish() {
    const std::lock_guard lock(mutex_);
    return finish_;
  }
  request::Usage usage() { return usage_; }
  request::RequestTiming timing() { return timing_; }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

 private:
  const Duration delay_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TokenId> tokens_;
  std::optional<FinishReason> finish_;
  request::Usage usage_;
  request::RequestTiming timing_;
  Status status_;
  bool ended_ = false;
};

// Holds each step until it is let go, so that a test can look at an engine in the middle of one.
class GatedRunner final : public runtime::GenerativeRunner {
 public:
  GatedRunner(std::unique_ptr<runtime::GenerativeRunner> inner, std::atomic<bool>& open)
      : inner_(std::move(inner)), open_(open) {}
  Ticket submit(const runtime::StepPlan& plan) noexcept override {
    open_.wait(false);
    return inner_->submit(plan);
  }
  runtime::StepResult wait(Ticket ticket) noexcept override { return inner_->wait(ticket); }

 private:
  std::unique_ptr<runtime::GenerativeRunner> inner_;
  std::atomic<bool>& open_;
};

class GatedModel final : public runtime::Model {
 public:
  explicit GatedModel(std::atomic<bool>& open) : open_(open) {}
  [[nodiscard]] const runtime::ModelInfo& info() const override { return fake_.info(); }
  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    return std::unique_ptr<runtime::GenerativeRunner>(
        std::make_unique<GatedRunner>(fake_.make_fake_runner(options), open_));
  }

 private:
  runtime::FakeModel fake_{runtime::FakeModelOptions{}};
  std::atomic<bool>& open_;
};

class EngineTest : public ::testing::Test {
 protected:
  void start(std::shared_ptr<const runtime::Model> model = nullptr) {
    options_.name = "test";
    auto engine =
        Engine::create(model ? std::move(model) : fake_, nullptr, options_, clock_, metrics_);
    ASSERT_TRUE(engine.has_value()) << engine.status().to_string();
    engine_ = std::move(engine).value();
  }
  // Lets held steps go before the engine is taken down, whatever a test did.
  void TearDown() override {
    open();
    engine_.reset();
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }
  static request::GenerateRequest greedy(std::size_t prompt_count,
                                         std::int32_t max_tokens,
                                         TokenId first = 2) {
    request::GenerateRequest request;
    for (std::size_t i = 0; i < prompt_count; ++i) {
      request.prompt.push_back(2 +
                               static_cast<TokenId>((static_cast<std::size_t>(first) + i) % 60));
    }
    request.sampling.temperature = 0;
    request.sampling.max_tokens = max_tokens;
    request.sampling.ignore_eos = true;
    return request;
  }
  request::RequestId submit(request::GenerateRequest request, std::shared_ptr<Sink> sink) {
    auto id = engine_->submit(request, std::move(sink));
    EXPECT_TRUE(id.has_value()) << id.status().to_string();
    return id.has_value() ? *id : 0;
  }

  SteadyClock clock_;
  observe::ModelMetrics metrics_;
  EngineOptions options_{.name = {}, .kv_block_count = 64};
  std::shared_ptr<runtime::FakeModel> fake_ =
      std::make_shared<runtime::FakeModel>(runtime::FakeModelOptions{});
  std::atomic<bool> open_{false};
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, generates_what_the_model_says) {
  start();
  const auto sink = std::make_shared<Sink>();
  const request::GenerateRequest request = greedy(20, 30);
  submit(request, sink);
  EXPECT_TRUE(sink->wait().ok());
  EXPECT_EQ(sink->tokens(), fake_->greedy_continuation(request.prompt, 30, true));
  EXPECT_EQ(sink->finish(), FinishReason::kLength);
  EXPECT_EQ(sink->usage().prompt_tokens, 20);
  EXPECT_EQ(sink->usage().completion_tokens, 30);
  EXPECT_GT(sink->timing().total, sink->timing().queued);
}

TEST_F(EngineTest, many_threads_submit_and_cancel) {
  options_.waiting_request_count_max = 8;
  start();
  std::atomic<int> accepted{0};
  std::atomic<int> refused{0};
  std::vector<std::shared_ptr<Sink>> sinks[4];
  {
    std::vector<std::jthread> threads;
    for (TokenId t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (TokenId i = 0; i < 50; ++i) {
          request::GenerateRequest request = greedy(10 + static_cast<std::size_t>(i), 20, t + i);
          const auto sink = std::make_shared<Sink>();
          const auto id = engine_->submit(request, sink);
          if (!id.has_value()) {
            EXPECT_EQ(id.error().code(), StatusCode::kResourceExhausted);
            EXPECT_FALSE(request.prompt.empty()) << "a refused request was taken";
            ++refused;
            std::this_thread::yield();
            continue;
          }
          ++accepted;
          sinks[t].push_back(sink);
          if (i % 3 == 0) engine_->cancel(*id);
        }
      });
    }
  }
  for (const auto& group : sinks) {
    for (const auto& sink : group) {
      const Status status = sink->wait();
      EXPECT_TRUE(status.ok() || status.code() == StatusCode::kCancelled) << status.to_string();
    }
  }
  EXPECT_EQ(accepted + refused, 200);
  EXPECT_TRUE(engine_->drain(std::chrono::seconds(10)));
  using Refusal = observe::ModelMetrics::admission_refusals_label;
  EXPECT_EQ(metrics_.admission_refusals[static_cast<std::size_t>(Refusal::queue_full)].value(),
            static_cast<std::uint64_t>(refused.load()));
  EXPECT_EQ(metrics_.kv_blocks_used.value(), 0);
  EXPECT_EQ(engine_->health().waiting, 0);
}

TEST_F(EngineTest, a_full_queue_refuses_and_leaves_the_request_alone) {
  options_.waiting_request_count_max = 2;
  options_.running_sequence_count_max = 1;
  start(std::make_shared<GatedModel>(open_));
  std::vector<std::shared_ptr<Sink>> sinks;
  // One that runs and is held in its step; then the queue's two places.
  sinks.push_back(std::make_shared<Sink>());
  submit(greedy(5, 5), sinks.back());
  for (int i = 0; i < 2; ++i) {
    sinks.push_back(std::make_shared<Sink>());
    request::GenerateRequest request = greedy(5, 5);
    // The first may still count as waiting for as long as its step is held.
    if (engine_->submit(request, sinks.back()).has_value()) continue;
    sinks.pop_back();
  }
  request::GenerateRequest request = greedy(5, 5);
  const auto refused = engine_->submit(request, std::make_shared<Sink>());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kResourceExhausted);
  EXPECT_NE(refused.error().message().find("2 requests wait"), std::string::npos);
  EXPECT_EQ(request.prompt.size(), 5U);
  open();
  for (const auto& sink : sinks) EXPECT_TRUE(sink->wait().ok());
}

TEST_F(EngineTest, invalid_and_too_long_requests_are_refused_and_counted) {
  start();
  request::GenerateRequest request = greedy(5, -1);
  EXPECT_EQ(engine_->submit(request, std::make_shared<Sink>()).error().where(), "max_tokens");
  request = greedy(5, 5000);
  EXPECT_EQ(engine_->submit(request, std::make_shared<Sink>()).error().where(), "max_tokens");
  using Refusal = observe::ModelMetrics::admission_refusals_label;
  EXPECT_EQ(metrics_.admission_refusals[static_cast<std::size_t>(Refusal::invalid)].value(), 1U);
  EXPECT_EQ(metrics_.admission_refusals[static_cast<std::size_t>(Refusal::too_long)].value(), 1U);
}

TEST_F(EngineTest, cancelling_ends_with_abort_and_unknown_ids_are_ignored) {
  start(std::make_shared<GatedModel>(open_));
  const auto sink = std::make_shared<Sink>();
  const request::RequestId id = submit(greedy(5, 900), sink);
  engine_->cancel(id + 77);
  engine_->cancel(id);
  open();
  EXPECT_EQ(sink->wait().code(), StatusCode::kCancelled);
  EXPECT_EQ(sink->finish(), FinishReason::kAbort);
  engine_->cancel(id);
}

TEST_F(EngineTest, idle_threads_use_no_processor_and_wake_at_once) {
  start();
  const auto warm = std::make_shared<Sink>();
  submit(greedy(5, 5), warm);
  EXPECT_TRUE(warm->wait().ok());
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double used_seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used_seconds, 0.02);
  const auto sink = std::make_shared<Sink>();
  submit(greedy(5, 1), sink);
  EXPECT_TRUE(sink->wait().ok());
  // Microseconds on an idle machine; the bound allows for a busy one and for sanitizers.
  EXPECT_LT(sink->timing().queued, std::chrono::milliseconds(50));
}

TEST_F(EngineTest, deadlines_end_running_requests) {
  start(std::make_shared<GatedModel>(open_));
  request::GenerateRequest request = greedy(5, 5);
  request.deadline = clock_.now() + std::chrono::milliseconds(1);
  const auto sink = std::make_shared<Sink>();
  const TimePoint deadline = request.deadline;
  submit(std::move(request), sink);
  while (clock_.now() < deadline) std::this_thread::yield();
  open();
  EXPECT_EQ(sink->wait().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(EngineTest, draining_refuses_waits_and_then_cancels) {
  start(std::make_shared<GatedModel>(open_));
  const auto sink = std::make_shared<Sink>();
  submit(greedy(5, 400), sink);
  engine_->begin_drain();
  request::GenerateRequest late = greedy(5, 5);
  EXPECT_EQ(engine_->submit(late, std::make_shared<Sink>()).error().code(),
            StatusCode::kUnavailable);
  EXPECT_TRUE(engine_->health().draining);
  // The step is held until the drain has given up waiting.
  std::future<bool> drained =
      std::async(std::launch::async, [&] { return engine_->drain(std::chrono::milliseconds(1)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  open();
  EXPECT_FALSE(drained.get());
  EXPECT_EQ(sink->wait().code(), StatusCode::kCancelled);
}

TEST_F(EngineTest, destruction_ends_what_still_runs) {
  start();
  const auto first = std::make_shared<Sink>();
  const auto second = std::make_shared<Sink>();
  submit(greedy(5, 900), first);
  submit(greedy(9, 900), second);
  first->wait_for_tokens(1);
  engine_.reset();
  EXPECT_TRUE(first->ended());
  EXPECT_TRUE(second->ended());
}

TEST_F(EngineTest, a_slow_sink_gets_every_token) {
  options_.running_sequence_count_max = 1;  // a ring of 16 events
  start();
  const auto sink = std::make_shared<Sink>(std::chrono::microseconds(200));
  const request::GenerateRequest request = greedy(5, 300);
  submit(request, sink);
  EXPECT_TRUE(sink->wait().ok());
  EXPECT_EQ(sink->tokens(), fake_->greedy_continuation(request.prompt, 300, true));
}

TEST_F(EngineTest, health_tells_a_stall_from_idleness) {
  ManualClock clock;
  options_.name = "test";
  auto engine =
      Engine::create(std::make_shared<GatedModel>(open_), nullptr, options_, clock, metrics_);
  ASSERT_TRUE(engine.has_value());
  engine_ = std::move(engine).value();
  clock.advance(std::chrono::hours(1));
  EXPECT_FALSE(engine_->health().work_pending);
  const auto sink = std::make_shared<Sink>();
  submit(greedy(5, 5), sink);
  // An hour of idleness is no stall.
  EXPECT_TRUE(engine_->health().work_pending);
  EXPECT_LT(engine_->health().last_progress_age, std::chrono::seconds(1));
  clock.advance(std::chrono::seconds(11));
  EXPECT_GE(engine_->health().last_progress_age, std::chrono::seconds(11));
  open();
  EXPECT_TRUE(sink->wait().ok());
  EXPECT_TRUE(engine_->drain(std::chrono::seconds(10)));
  EXPECT_FALSE(engine_->health().work_pending);
  EXPECT_LT(engine_->health().last_progress_age, std::chrono::seconds(1));
  engine_.reset();
}

TEST_F(EngineTest, bad_options_are_refused) {
  options_.kv_block_count = 0;
  EXPECT_EQ(Engine::create(fake_, nullptr, options_, clock_, metrics_).error().where(),
            "kv_block_count");
  options_.kv_block_count = 8;
  options_.context_tokens_max = 5000;
  EXPECT_EQ(Engine::create(fake_, nullptr, options_, clock_, metrics_).error().where(),
            "context_tokens_max");
}

}  // namespace
}  // namespace inferneo::engine
