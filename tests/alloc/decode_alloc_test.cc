// Counts allocations on the engine's thread between two steps of steady decoding. The runner is the
// place to look from: submit() is called on that thread once a step.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>

#include "allocation_count.h"
#include "engine/engine.h"
#include "runtime/fake_runtime.h"
#include "text/grammar/constraint_compiler.h"
#include "text/json.h"

namespace inferneo {
namespace {

struct Counts {
  std::atomic<std::uint64_t> decode_steps{0};
  std::atomic<std::uint64_t> decode_allocations{0};
  std::atomic<std::uint64_t> other_allocations{0};
};

// Passes steps on to the fake runner, and accounts the allocations since the previous one.
class CountingRunner final : public runtime::GenerativeRunner {
 public:
  CountingRunner(std::unique_ptr<runtime::FakeRunner> inner, Counts& counts)
      : inner_(std::move(inner)), counts_(counts) {}

  Ticket submit(const runtime::StepPlan& plan) noexcept override {
    const std::uint64_t since = allocation_count() - count_before_;
    const bool decode = std::ranges::all_of(
        plan.sequences, [](const auto& sequence) { return sequence.token_count == 1; });
    // What happened since the last submit belongs to a decode step when both its ends do.
    if (decode && plan.sequences.size() == sequences_before_) {
      counts_.decode_steps.fetch_add(1);
      counts_.decode_allocations.fetch_add(since);
    } else {
      counts_.other_allocations.fetch_add(since);
    }
    sequences_before_ = decode ? plan.sequences.size() : 0;
    const Ticket ticket = inner_->submit(plan);
    count_before_ = allocation_count();
    return ticket;
  }
  runtime::StepResult wait(Ticket ticket) noexcept override { return inner_->wait(ticket); }

 private:
  std::unique_ptr<runtime::FakeRunner> inner_;
  Counts& counts_;
  std::uint64_t count_before_ = 0;
  std::size_t sequences_before_ = 0;
};

class CountingModel final : public runtime::Model {
 public:
  CountingModel(const runtime::FakeModelOptions& options, Counts& counts)
      : fake_(options), counts_(counts) {}
  [[nodiscard]] const runtime::ModelInfo& info() const override { return fake_.info(); }
  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    return std::unique_ptr<runtime::GenerativeRunner>(
        std::make_unique<CountingRunner>(fake_.make_fake_runner(options), counts_));
  }

 private:
  runtime::FakeModel fake_;
  Counts& counts_;
};

class WaitingSink final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&& /*delta*/) override {}
  void on_end(const request::Usage& usage,
              const request::RequestTiming& /*timing*/,
              const Status& status) override {
    EXPECT_TRUE(status.ok()) << status.to_string();
    EXPECT_EQ(usage.completion_tokens, 200);
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
};

request::GenerateRequest make_request(TokenId first) {
  request::GenerateRequest request;
  for (TokenId i = 0; i < 21; ++i) request.prompt.push_back(2 + (first * 5 + i) % 60);
  request.sampling.max_tokens = 200;
  request.sampling.ignore_eos = true;
  request.sampling.seed = 5;
  request.sampling.top_p = 0.9F;
  request.sampling.frequency_penalty = 0.5F;
  request.sampling.logprobs = 5;
  // New to the cache, so that blocks of it are entered for the first time while decoding.
  request.cache_salt = std::string(40, static_cast<char>('a' + first));
  return request;
}

TEST(DecodeStep, allocates_nothing) {
  Counts counts;
  const auto model = std::make_shared<CountingModel>(runtime::FakeModelOptions{}, counts);
  observe::ModelMetrics metrics;
  const SteadyClock clock;
  engine::EngineOptions options;
  options.name = "alloc";
  options.kv_block_count = 256;
  auto engine = engine::Engine::create(model, nullptr, options, clock, metrics);
  ASSERT_TRUE(engine.has_value());
  std::vector<std::shared_ptr<WaitingSink>> sinks;
  for (TokenId i = 0; i < 8; ++i) {
    request::GenerateRequest request = make_request(i);
    sinks.push_back(std::make_shared<WaitingSink>());
    ASSERT_TRUE((*engine)->submit(request, sinks.back()).has_value());
  }
  for (const auto& sink : sinks) sink->wait();
  EXPECT_GT(counts.decode_steps.load(), 150U);
  EXPECT_EQ(counts.decode_allocations.load(), 0U);
  // The counter works: admission does allocate.
  EXPECT_GT(counts.other_allocations.load(), 0U);
}

// With a schema: once positions like those of the answer were met, their masks are found and not
// made.
TEST(DecodeStep, allocates_nothing_with_a_schema_that_was_used_before) {
  Counts counts;
  const std::shared_ptr<const text::Tokenizer> tokenizer =
      text::Tokenizer::load(std::string(INFERNEO_SOURCE_DIR) + "/models/starter").value();
  runtime::FakeModelOptions fake;
  fake.vocab_size = 4096;
  fake.eos_token_id = 4090;
  const auto model = std::make_shared<CountingModel>(fake, counts);
  observe::ModelMetrics metrics;
  const SteadyClock clock;
  engine::EngineOptions options;
  options.name = "alloc";
  options.kv_block_count = 256;
  auto engine = engine::Engine::create(model, tokenizer, options, clock, metrics);
  ASSERT_TRUE(engine.has_value());
  text::grammar::ConstraintCompiler compiler(tokenizer);
  const text::Value schema =
      text::parse_json(R"({"type":"array","items":{"type":"string","minLength":3,"maxLength":20},
                           "minItems":200})")
          .value();
  const auto constraint = compiler.json_schema(schema, false).value();
  std::uint64_t before = 0;
  for (int round = 0; round < 2; ++round) {
    before = counts.decode_allocations.load();
    request::GenerateRequest request = make_request(1);
    request.sampling.logprobs.reset();
    request.constraint = constraint;
    const auto sink = std::make_shared<WaitingSink>();
    ASSERT_TRUE((*engine)->submit(request, sink).has_value());
    sink->wait();
  }
  EXPECT_GT(counts.decode_steps.load(), 100U);
  // The second answer is the first again, by its seed.
  EXPECT_EQ(counts.decode_allocations.load() - before, 0U);
}

}  // namespace
}  // namespace inferneo
