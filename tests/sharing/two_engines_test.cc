// Two engines on one device: their parallel sections take turns on the same compute threads. What
// they produce must not depend on it, and neither may wait for the other to end.
#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "device/cpu.h"
#include "engine/engine.h"
#include "runtimes/native/random_model.h"

namespace inferneo {
namespace {

constexpr std::chrono::seconds kTimeout{60};
constexpr std::int32_t kVocabSize = 1024;

class Sink final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&& delta) override {
    const std::lock_guard lock(mutex_);
    ids_.insert(ids_.end(), delta.token_ids.begin(), delta.token_ids.end());
    changed_.notify_all();
  }
  void on_end(const request::Usage& /*usage*/,
              const request::RequestTiming& /*timing*/,
              const Status& /*status*/) override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  // False after a minute.
  bool wait_for_end() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kTimeout, [this] { return ended_; });
  }
  bool wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kTimeout, [&] { return ids_.size() >= count; });
  }
  std::vector<TokenId> ids() {
    const std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TokenId> ids_;
  bool ended_ = false;
};

// A small model of its own weights behind an engine.
class Served {
 public:
  Served(device::CpuDevice& device, std::uint64_t seed) {
    runtimes::native::RandomModelShape shape;
    shape.hidden_size = 256;
    shape.layer_count = 4;
    shape.head_count = 4;
    shape.kv_head_count = 2;
    shape.ffn_size = 768;
    shape.vocab_size = kVocabSize;
    engine::EngineOptions options;
    options.name = "sharing";
    options.kv_block_count = 512;
    auto model = runtimes::native::make_random_model(shape, seed, {}, device);
    engine_ = engine::Engine::create(std::move(model).value(), nullptr, options, clock_, metrics_)
                  .value();
  }

  std::shared_ptr<Sink> ask(std::size_t prompt_tokens, std::int32_t tokens, unsigned seed) {
    std::mt19937 random(seed);
    request::GenerateRequest request;
    request.prompt.resize(prompt_tokens);
    for (TokenId& id : request.prompt) id = static_cast<TokenId>(random() % kVocabSize);
    request.sampling.temperature = 0;
    request.sampling.max_tokens = tokens;
    request.sampling.ignore_eos = true;
    auto sink = std::make_shared<Sink>();
    EXPECT_TRUE(engine_->submit(request, sink).has_value());
    return sink;
  }

 private:
  SteadyClock clock_;
  observe::ModelMetrics metrics_;
  std::unique_ptr<engine::Engine> engine_;
};

class Sharing : public ::testing::TestWithParam<int> {
 protected:
  std::unique_ptr<device::CpuDevice> device_ =
      device::CpuDevice::create({.thread_count = GetParam(), .isa = ""}).value();
};

std::vector<std::vector<TokenId>> answers(std::vector<std::shared_ptr<Sink>> sinks) {
  std::vector<std::vector<TokenId>> all;
  for (const auto& sink : sinks) {
    EXPECT_TRUE(sink->wait_for_end());
    all.push_back(sink->ids());
  }
  return all;
}

TEST_P(Sharing, engines_side_by_side_produce_what_each_produces_alone) {
  Served first(*device_, 1);
  Served second(*device_, 2);
  const auto ask = [](Served& served, unsigned seed) {
    return std::vector{served.ask(300, 30, seed), served.ask(20, 60, seed + 1)};
  };
  const auto first_alone = answers(ask(first, 10));
  const auto second_alone = answers(ask(second, 20));
  auto first_sinks = ask(first, 10);
  auto second_sinks = ask(second, 20);
  EXPECT_EQ(answers(first_sinks), first_alone);
  EXPECT_EQ(answers(second_sinks), second_alone);
}

// Equal work, so about equal progress; the bound leaves room for a busy machine.
TEST_P(Sharing, neither_engine_starves_the_other) {
  constexpr std::size_t kTokenCount = 400;
  Served first(*device_, 1);
  Served second(*device_, 2);
  const auto one = first.ask(16, 1500, 1);
  ASSERT_TRUE(one->wait_for_tokens(10));
  const auto other = second.ask(16, 1500, 2);
  const std::size_t begin = one->ids().size();
  ASSERT_TRUE(other->wait_for_tokens(kTokenCount));
  EXPECT_GT(one->ids().size() - begin, kTokenCount / 8);
  EXPECT_LT(one->ids().size() - begin, kTokenCount * 8);
}

TEST_P(Sharing, an_engine_that_ends_in_the_middle_leaves_the_other_running) {
  Served stays(*device_, 1);
  const auto kept = stays.ask(16, 200, 1);
  for (unsigned i = 0; i < 5; ++i) {
    Served leaves(*device_, 2);
    const auto cut = leaves.ask(400, 1000, i);
    ASSERT_TRUE(cut->wait_for_tokens(3));
  }
  EXPECT_TRUE(kept->wait_for_end());
  EXPECT_EQ(kept->ids().size(), 200U);
}

// More threads than processors is the worst case for those who wait.
INSTANTIATE_TEST_SUITE_P(Threads, Sharing, ::testing::Values(1, 2, 4));

}  // namespace
}  // namespace inferneo
