// Requests for vectors: the engine with its threads against the fake runtime, whose hidden states
// are a pure function of what it reads back through the block tables.
#include <gtest/gtest.h>

#include <condition_variable>
#include <limits>
#include <mutex>

#include "engine/engine.h"
#include "runtime/fake_runtime.h"

namespace inferneo::engine {
namespace {

using request::Pooling;

class VectorSink final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&& delta) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(delta.text.empty());
    EXPECT_TRUE(delta.token_ids.empty());
  }
  void on_vector(std::vector<float>&& values) override {
    const std::lock_guard lock(mutex_);
    ++vector_count_;
    values_ = std::move(values);
  }
  void on_end(const request::Usage& usage,
              const request::RequestTiming&,
              const Status& status) override {
    const std::lock_guard lock(mutex_);
    usage_ = usage;
    status_ = status;
    ended_ = true;
    changed_.notify_all();
  }
  Status wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    EXPECT_EQ(vector_count_, status_.ok() ? 1 : 0);
    return status_;
  }
  std::vector<float> values() { return values_; }
  request::Usage usage() { return usage_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<float> values_;
  request::Usage usage_;
  Status status_;
  int vector_count_ = 0;
  bool ended_ = false;
};

request::GenerateRequest vector_request(std::size_t count, Pooling pooling, TokenId first = 2) {
  request::GenerateRequest request;
  for (std::size_t i = 0; i < count; ++i) {
    request.prompt.push_back(2 + static_cast<TokenId>((static_cast<std::size_t>(first) + i) % 60));
  }
  request.sampling.max_tokens = 0;
  request.pooling = pooling;
  return request;
}

// What the engine should deliver.
std::vector<float> expected(const runtime::FakeModel& model,
                            const std::vector<TokenId>& ids,
                            Pooling pooling) {
  const auto state = [&](std::size_t position) {
    const std::size_t seen = model.options().bidirectional ? ids.size() : position + 1;
    return model.hidden_after(std::span(ids).first(seen), static_cast<std::int32_t>(position));
  };
  if (pooling == Pooling::kCls) return state(0);
  if (pooling == Pooling::kLast) return state(ids.size() - 1);
  std::vector<float> sum(static_cast<std::size_t>(model.options().hidden_size));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::vector<float> row = state(i);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += row[j];
  }
  for (float& value : sum) value /= static_cast<float>(ids.size());
  return sum;
}

class VectorTest : public ::testing::Test {
 protected:
  void start(const runtime::FakeModelOptions& model = {}) {
    model_ = std::make_shared<runtime::FakeModel>(model);
    options_.name = "test";
    if (options_.kv_block_count == 0) options_.kv_block_count = 256;
    engine_ = Engine::create(model_, nullptr, options_, clock_, metrics_).value();
  }
  std::shared_ptr<VectorSink> submit(request::GenerateRequest request) {
    auto sink = std::make_shared<VectorSink>();
    const auto id = engine_->submit(request, sink);
    EXPECT_TRUE(id.has_value()) << id.status().to_string();
    return sink;
  }

  SteadyClock clock_;
  observe::ModelMetrics metrics_;
  EngineOptions options_;
  std::shared_ptr<runtime::FakeModel> model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(VectorTest, each_pooling_gives_its_rows) {
  options_.step_token_count_max = 48;  // texts come in chunks
  start();
  for (const Pooling pooling : {Pooling::kLast, Pooling::kMean, Pooling::kCls}) {
    for (const std::size_t count : {1U, 2U, 16U, 47U, 64U, 65U, 300U}) {
      const auto request = vector_request(count, pooling, static_cast<TokenId>(count));
      const std::vector<TokenId> ids = request.prompt;
      const auto sink = submit(request);
      EXPECT_TRUE(sink->wait().ok());
      EXPECT_EQ(sink->values(), expected(*model_, ids, pooling))
          << count << " tokens, pooling " << static_cast<int>(pooling);
      EXPECT_EQ(sink->usage().prompt_tokens, static_cast<std::int32_t>(count));
      EXPECT_EQ(sink->usage().completion_tokens, 0);
    }
  }
}

TEST_F(VectorTest, many_at_once_beside_generation_do_not_mix) {
  options_.kv_block_count = 24;  // too few for all: some wait, some are preempted
  options_.step_token_count_max = 64;
  options_.running_sequence_count_max = 4;
  start();
  std::vector<std::pair<std::vector<TokenId>, std::shared_ptr<VectorSink>>> asked;
  for (int i = 0; i < 40; ++i) {
    const auto pooling = static_cast<Pooling>(i % 3);
    auto request = vector_request(20 + static_cast<std::size_t>(i), pooling, i);
    request.priority = i % 2;
    auto ids = request.prompt;
    asked.emplace_back(std::move(ids), submit(std::move(request)));
    request::GenerateRequest text;
    text.prompt = {5, 6, static_cast<TokenId>(2 + i)};
    text.sampling.max_tokens = 20;
    class Ignore final : public request::OutputSink {
      void on_delta(request::OutputDelta&&) override {}
      void on_end(const request::Usage&, const request::RequestTiming&, const Status&) override {}
    };
    ASSERT_TRUE(engine_->submit(text, std::make_shared<Ignore>()).has_value());
  }
  for (int i = 0; i < 40; ++i) {
    auto& [ids, sink] = asked[static_cast<std::size_t>(i)];
    EXPECT_TRUE(sink->wait().ok());
    EXPECT_EQ(sink->values(), expected(*model_, ids, static_cast<Pooling>(i % 3)));
  }
  EXPECT_TRUE(engine_->drain(std::chrono::seconds(10)));
  EXPECT_EQ(metrics_.kv_blocks_used.value(), 0);
}

TEST_F(VectorTest, a_known_prefix_is_reused_for_the_last_token_only) {
  start();
  for (const Pooling pooling : {Pooling::kLast, Pooling::kLast, Pooling::kMean}) {
    const auto request = vector_request(100, pooling);
    const auto ids = request.prompt;
    const auto sink = submit(request);
    EXPECT_TRUE(sink->wait().ok());
    EXPECT_EQ(sink->values(), expected(*model_, ids, pooling));
    if (pooling == Pooling::kMean) {
      EXPECT_EQ(sink->usage().cached_prompt_tokens, 0);
    }
  }
  const auto again = submit(vector_request(100, Pooling::kLast));
  EXPECT_TRUE(again->wait().ok());
  EXPECT_EQ(again->usage().cached_prompt_tokens, 96);
}

TEST_F(VectorTest, an_encoder_computes_each_text_whole) {
  runtime::FakeModelOptions model;
  model.bidirectional = true;
  options_.step_token_count_max = 64;
  start(model);
  std::vector<std::pair<std::vector<TokenId>, std::shared_ptr<VectorSink>>> asked;
  for (int i = 0; i < 60; ++i) {
    auto request = vector_request(1 + static_cast<std::size_t>(i), static_cast<Pooling>(i % 3), i);
    auto ids = request.prompt;
    asked.emplace_back(std::move(ids), submit(std::move(request)));
  }
  for (int i = 0; i < 60; ++i) {
    auto& [ids, sink] = asked[static_cast<std::size_t>(i)];
    EXPECT_TRUE(sink->wait().ok());
    EXPECT_EQ(sink->values(), expected(*model_, ids, static_cast<Pooling>(i % 3))) << i;
  }
  request::GenerateRequest text;
  text.prompt = {5};
  const auto refused = engine_->submit(text, std::make_shared<VectorSink>());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().where(), "model");
  auto long_text = vector_request(65, Pooling::kMean);
  const auto too_long = engine_->submit(long_text, std::make_shared<VectorSink>());
  ASSERT_FALSE(too_long.has_value());
  EXPECT_NE(too_long.error().message().find("at most 64"), std::string::npos);
}

TEST_F(VectorTest, the_whole_context_may_be_used_and_no_more) {
  runtime::FakeModelOptions model;
  model.context_tokens_max = 128;
  options_.kv_block_count = 8;  // exactly 128 tokens
  start(model);
  EXPECT_TRUE(submit(vector_request(128, Pooling::kLast))->wait().ok());
  auto longer = vector_request(129, Pooling::kLast);
  const auto refused = engine_->submit(longer, std::make_shared<VectorSink>());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().where(), "input");
}

TEST_F(VectorTest, states_that_are_not_finite_fail_their_request_only) {
  runtime::FakeModelOptions model;
  model.poison_token_id = 63;
  start(model);
  auto poisoned = vector_request(40, Pooling::kMean);
  poisoned.prompt[20] = 63;
  const auto bad = submit(poisoned);
  const auto good_request = vector_request(40, Pooling::kMean);
  const auto ids = good_request.prompt;
  const auto good = submit(good_request);
  EXPECT_EQ(bad->wait().code(), StatusCode::kInternal);
  EXPECT_TRUE(good->wait().ok());
  EXPECT_EQ(good->values(), expected(*model_, ids, Pooling::kMean));
}

TEST_F(VectorTest, a_model_without_hidden_states_says_so) {
  runtime::FakeModelOptions model;
  model.hidden_size = 0;
  start(model);
  auto request = vector_request(3, Pooling::kLast);
  const auto refused = engine_->submit(request, std::make_shared<VectorSink>());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), StatusCode::kUnsupported);
  EXPECT_EQ(refused.error().where(), "model");
}

}  // namespace
}  // namespace inferneo::engine
