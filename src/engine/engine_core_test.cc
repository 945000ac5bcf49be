// Drives the engine's core step by step with the fake runtime, whose greedy continuation is the
// oracle for what each request must produce.
#include "engine/engine_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "engine/output_writer.h"
#include "runtime/fake_runtime.h"

namespace inferneo::engine {
namespace {

using request::FinishReason;

struct Outcome {
  std::map<std::int32_t, std::vector<TokenId>> tokens;  // by choice
  std::map<std::int32_t, FinishReason> finish;
  std::vector<float> prompt_logprobs;
  bool ended = false;
};

class CoreTest : public ::testing::Test {
 protected:
  void start(CoreOptions options, runtime::FakeModelOptions model = {}) {
    model.clock = &clock_;
    model.step_duration = std::chrono::milliseconds(1);
    model_ = std::make_unique<runtime::FakeModel>(model);
    options.waiting_request_count_max = 64;
    runner_ = model_->make_fake_runner(EngineCore::runner_options(options));
    core_ = std::make_unique<EngineCore>(options, model_->info(), *runner_, clock_, metrics_);
  }
  void TearDown() override {
    EXPECT_EQ(runner_->violation(), "");
    EXPECT_TRUE(core_->cache().consistent());
    if (!core_->has_work()) {
      EXPECT_EQ(core_->cache().pool().used(), 0);
    }
  }

  static CoreOptions options(std::int32_t blocks = 64) { return {blocks, 8, 32, 64, true, 7}; }

  static request::GenerateRequest greedy(std::vector<TokenId> prompt, std::int32_t max_tokens) {
    request::GenerateRequest request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0;
    request.sampling.max_tokens = max_tokens;
    return request;
  }
  static std::vector<TokenId> prompt(std::size_t count, TokenId first = 2) {
    std::vector<TokenId> tokens(count);
    for (std::size_t i = 0; i < count; ++i) {
      tokens[i] = 2 + static_cast<TokenId>((static_cast<std::size_t>(first) * 7 + i * i) % 60);
    }
    return tokens;
  }

  ActiveRequest& add(request::GenerateRequest request) {
    auto active = std::make_unique<ActiveRequest>();
    active->request = std::move(request);
    active->submitted_at = clock_.now();
    requests_.push_back(std::move(active));
    core_->add(*requests_.back());
    return *requests_.back();
  }
  void step() {
    for (const TokenEvent& event : core_->step()) {
      Outcome& outcome = outcomes_[event.request];
      ASSERT_FALSE(outcome.ended);
      switch (event.kind) {
        case TokenEvent::Kind::kPromptToken:
          outcome.prompt_logprobs.push_back(event.sampled.logprob);
          break;
        case TokenEvent::Kind::kToken:
          outcome.tokens[event.choice].push_back(event.sampled.id);
          if (event.ends_choice) outcome.finish[event.choice] = event.finish;
          break;
        case TokenEvent::Kind::kEnd:
          outcome.ended = true;
          break;
        case TokenEvent::Kind::kShutdown:
          FAIL();
      }
    }
  }
  void run(int steps_max = 10000) {
    for (int i = 0; i < steps_max && core_->has_work(); ++i) step();
    EXPECT_FALSE(core_->has_work());
  }
  // Of all steps so far.
  [[nodiscard]] double computed_tokens() const { return metrics_.step_tokens.sum(); }
  std::vector<TokenId> oracle(const request::GenerateRequest& request) const {
    return model_->greedy_continuation(
        request.prompt, request.sampling.max_tokens, request.sampling.ignore_eos);
  }
  void expect_right(const ActiveRequest& active) {
    const Outcome& outcome = outcomes_[&active];
    EXPECT_TRUE(outcome.ended);
    EXPECT_TRUE(active.end_status.ok()) << active.end_status.to_string();
    for (std::int32_t choice = 0; choice < active.request.choice_count; ++choice) {
      EXPECT_EQ(outcome.tokens.at(choice), oracle(active.request)) << "choice " << choice;
    }
  }

  ManualClock clock_;
  observe::ModelMetrics metrics_;
  std::unique_ptr<runtime::FakeModel> model_;
  std::unique_ptr<runtime::FakeRunner> runner_;
  std::unique_ptr<EngineCore> core_;
  std::vector<std::unique_ptr<ActiveRequest>> requests_;
  std::map<const ActiveRequest*, Outcome> outcomes_;
};

TEST_F(CoreTest, greedy_output_is_the_oracles) {
  start(options());
  const ActiveRequest& active = add(greedy(prompt(5), 20));
  run();
  expect_right(active);
}

TEST_F(CoreTest, greedy_output_is_the_same_among_others_and_in_chunks) {
  start(options(256));
  std::vector<const ActiveRequest*> all;
  for (TokenId i = 0; i < 32; ++i) {
    all.push_back(&add(greedy(prompt(3 + static_cast<std::size_t>(i) * 4, i), 24)));
  }
  run();
  for (const ActiveRequest* active : all) expect_right(*active);
  EXPECT_LE(runner_->step_token_count_max_seen(), 32);
}

TEST_F(CoreTest, a_long_prompt_keeps_the_pace_of_running_streams) {
  runtime::FakeModelOptions model;
  model.token_duration = std::chrono::microseconds(200);
  CoreOptions paced = options(512);
  paced.step_token_count_max = 512;
  paced.step_time_target = std::chrono::milliseconds(20);
  start(paced, model);
  request::GenerateRequest stream = greedy(prompt(40), 120);
  stream.sampling.ignore_eos = true;
  const ActiveRequest& running = add(stream);
  for (int i = 0; i < 5; ++i) step();
  const ActiveRequest& late = add(greedy(prompt(1900, 5), 4));
  while (core_->has_work() && outcomes_[&late].tokens.empty()) {
    const std::size_t before = outcomes_[&running].tokens[0].size();
    const TimePoint started_at = clock_.now();
    step();
    EXPECT_LE(clock_.now() - started_at, std::chrono::milliseconds(20));
    EXPECT_EQ(outcomes_[&running].tokens[0].size(), before + 1);
  }
  // Of 20 ms, 1.2 ms are the stream's: 94 tokens fit, 79 fill whole tiles.
  EXPECT_LE(runner_->step_count(), 5U + 1900 / 79 + 6);
  run();
  expect_right(running);
  expect_right(late);
}

TEST_F(CoreTest, preempted_sequences_resume_with_the_same_output) {
  start(options(/*blocks=*/8));
  std::vector<const ActiveRequest*> all;
  for (TokenId i = 0; i < 6; ++i) {
    request::GenerateRequest request = greedy(prompt(17, i), 60);
    request.sampling.ignore_eos = true;
    all.push_back(&add(std::move(request)));
  }
  run();
  for (const ActiveRequest* active : all) expect_right(*active);
  EXPECT_GT(metrics_.preemptions.value(), 0U);
}

TEST_F(CoreTest, prefix_hits_do_not_change_the_output) {
  start(options());
  const ActiveRequest& first = add(greedy(prompt(50), 10));
  run();
  const ActiveRequest& second = add(greedy(prompt(50), 10));
  run();
  expect_right(first);
  expect_right(second);
  EXPECT_EQ(first.cached_prompt_tokens, 0);
  EXPECT_EQ(second.cached_prompt_tokens, 48);
  EXPECT_EQ(metrics_.prefix_cache_hits.value(), 48U);
}

TEST_F(CoreTest, prompts_that_begin_alike_share_blocks_in_their_first_wave) {
  CoreOptions wide = options(256);
  wide.running_sequence_count_max = 16;
  wide.step_token_count_max = 2048;
  start(wide);
  std::vector<const ActiveRequest*> all;
  for (std::int32_t i = 0; i < 16; ++i) {
    std::vector<TokenId> tokens = prompt(512);
    for (std::size_t at = 480; at < 512; ++at) tokens[at] = 2 + (tokens[at] + i) % 60;
    all.push_back(&add(greedy(tokens, 1)));
  }
  run();
  for (const ActiveRequest* active : all) expect_right(*active);
  EXPECT_EQ(computed_tokens(), 512 + 15 * 32);
  // Only the head of the queue waits; the others stand behind it.
  EXPECT_EQ(metrics_.prefix_cache_awaited_hits.value(), 480U);
  EXPECT_LE(runner_->step_count(), 2U);
}

TEST_F(CoreTest, a_pool_that_shrinks_and_grows_under_requests_does_not_change_their_output) {
  CoreOptions small = options(16);
  small.kv_block_count_max = 64;
  start(small);
  EXPECT_EQ(core_->cache().pool().total(), 16);
  std::vector<const ActiveRequest*> all;
  for (std::int32_t i = 0; i < 8; ++i) all.push_back(&add(greedy(prompt(40, i + 2), 30)));
  for (int i = 0; i < 10; ++i) step();
  core_->resize(64);
  EXPECT_EQ(metrics_.kv_blocks.value(), 64);
  for (int i = 0; i < 10; ++i) step();
  EXPECT_GT(core_->cache().pool().used(), 16);
  const std::uint64_t before = core_->scheduler().preemption_count();
  core_->resize(8);
  EXPECT_GT(core_->scheduler().preemption_count(), before);
  EXPECT_LE(core_->cache().pool().used(), 8);
  EXPECT_TRUE(core_->cache().consistent());
  for (int i = 0; i < 20; ++i) step();
  core_->resize(40);
  run();
  for (const ActiveRequest* active : all) expect_right(*active);
}

TEST_F(CoreTest, cached_prefixes_below_the_cut_survive_a_smaller_pool) {
  start(options(64));
  add(greedy(prompt(48), 1));
  run();
  EXPECT_EQ(core_->cache().pool().cached(), 3);
  core_->resize(32);
  EXPECT_EQ(core_->cache().pool().cached(), 3);
  const ActiveRequest& second = add(greedy(prompt(48), 1));
  run();
  expect_right(second);
  EXPECT_EQ(second.cached_prompt_tokens, 32);
  core_->resize(1);
  EXPECT_EQ(core_->cache().pool().cached(), 1);
}

TEST_F(CoreTest, those_who_wait_for_a_prefix_go_on_when_its_request_is_cancelled) {
  start(options());
  ActiveRequest& leader = add(greedy(prompt(100), 4));
  const ActiveRequest& second = add(greedy(prompt(100), 4));
  const ActiveRequest& third = add(greedy(prompt(100), 4));
  step();
  EXPECT_EQ(core_->scheduler().running().size(), 1U);
  leader.cancelled = true;
  core_->signal();
  run();
  expect_right(second);
  expect_right(third);
  EXPECT_EQ(second.cached_prompt_tokens, 0);
  EXPECT_EQ(third.cached_prompt_tokens, 96);
}

TEST_F(CoreTest, nobody_waits_for_the_prefix_of_another_salt_or_of_a_lower_priority) {
  start(options());
  const ActiveRequest& low = add(greedy(prompt(70), 4));
  step();
  request::GenerateRequest salted = greedy(prompt(70), 4);
  salted.cache_salt = "tenant";
  salted.priority = 1;
  const ActiveRequest& other = add(std::move(salted));
  request::GenerateRequest urgent = greedy(prompt(70), 4);
  urgent.priority = 2;
  const ActiveRequest& high = add(std::move(urgent));
  step();
  EXPECT_TRUE(high.started);
  run();
  for (const ActiveRequest* active : {&low, &other, &high}) expect_right(*active);
  EXPECT_EQ(other.cached_prompt_tokens, 0);
  EXPECT_EQ(metrics_.prefix_cache_awaited_hits.value(), 0U);
}

TEST_F(CoreTest, those_who_wait_for_a_prefix_go_on_when_its_rows_are_not_finite) {
  runtime::FakeModelOptions model;
  model.poison_token_id = 63;
  start(options(), model);
  std::vector<TokenId> bad = prompt(100);
  bad[97] = 63;
  const ActiveRequest& poisoned = add(greedy(bad, 4));
  const ActiveRequest& good = add(greedy(prompt(100), 4));
  run();
  EXPECT_EQ(poisoned.end_status.code(), StatusCode::kInternal);
  expect_right(good);
  EXPECT_EQ(good.cached_prompt_tokens, 0);
}

TEST_F(CoreTest, a_hit_never_covers_the_whole_prompt) {
  start(options());
  add(greedy(prompt(48), 10));
  run();
  const ActiveRequest& second = add(greedy(prompt(48), 10));
  run();
  expect_right(second);
  EXPECT_EQ(second.cached_prompt_tokens, 32);
}

TEST_F(CoreTest, salts_do_not_share) {
  start(options());
  add(greedy(prompt(50), 4));
  run();
  request::GenerateRequest other = greedy(prompt(50), 4);
  other.cache_salt = "tenant";
  const ActiveRequest& second = add(std::move(other));
  run();
  expect_right(second);
  EXPECT_EQ(second.cached_prompt_tokens, 0);
}

TEST_F(CoreTest, choices_share_the_prompt) {
  start(options());
  request::GenerateRequest request = greedy(prompt(37), 12);
  request.choice_count = 4;
  const ActiveRequest& active = add(std::move(request));
  step();
  step();
  // Two full blocks of the prompt are held once; the third is held by the first choice.
  EXPECT_EQ(core_->cache().pool().used(), 3);
  run();
  expect_right(active);
}

TEST_F(CoreTest, seeded_choices_differ) {
  start(options());
  request::GenerateRequest request = greedy(prompt(20), 12);
  request.sampling.temperature = 1;
  request.sampling.seed = 3;
  request.sampling.ignore_eos = true;
  request.choice_count = 2;
  const ActiveRequest& active = add(std::move(request));
  run();
  EXPECT_NE(outcomes_[&active].tokens[0], outcomes_[&active].tokens[1]);
}

TEST_F(CoreTest, cancellation_frees_blocks_in_the_next_round) {
  start(options());
  request::GenerateRequest request = greedy(prompt(20), 200);
  request.sampling.ignore_eos = true;
  request.choice_count = 2;
  ActiveRequest& active = add(std::move(request));
  step();
  step();
  active.cancelled = true;
  core_->signal();
  step();
  EXPECT_TRUE(outcomes_[&active].ended);
  EXPECT_EQ(active.end_status.code(), StatusCode::kCancelled);
  EXPECT_EQ(active.end_reason, FinishReason::kAbort);
  EXPECT_EQ(core_->cache().pool().used(), 0);
}

TEST_F(CoreTest, a_waiting_request_can_be_cancelled_and_can_expire) {
  start(options(/*blocks=*/4));
  request::GenerateRequest big = greedy(prompt(40), 20);
  big.sampling.ignore_eos = true;
  const ActiveRequest& running = add(big);
  ActiveRequest& waiting = add(greedy(prompt(40, 9), 20));
  request::GenerateRequest late = greedy(prompt(40, 11), 20);
  late.deadline = clock_.now() + std::chrono::milliseconds(5);
  const ActiveRequest& expiring = add(std::move(late));
  step();
  waiting.cancelled = true;
  core_->signal();
  step();
  EXPECT_TRUE(outcomes_[&waiting].ended);
  run();
  expect_right(running);
  EXPECT_EQ(expiring.end_status.code(), StatusCode::kDeadlineExceeded);
}

TEST_F(CoreTest, higher_priority_takes_the_place_of_lower) {
  start(options(/*blocks=*/6));
  request::GenerateRequest low = greedy(prompt(40), 40);
  low.sampling.ignore_eos = true;
  const ActiveRequest& first = add(low);
  step();
  step();
  request::GenerateRequest high = greedy(prompt(60, 5), 8);
  high.priority = 3;
  const ActiveRequest& second = add(high);
  while (core_->has_work() && !outcomes_[&second].ended) step();
  EXPECT_FALSE(outcomes_[&first].ended);
  run();
  expect_right(first);
  expect_right(second);
  EXPECT_EQ(metrics_.preemptions.value(), 1U);
}

TEST_F(CoreTest, a_row_that_is_not_finite_fails_only_its_request) {
  runtime::FakeModelOptions model;
  model.poison_token_id = 63;
  start(options(), model);
  std::vector<TokenId> bad = prompt(40);
  bad[20] = 63;
  const ActiveRequest& good = add(greedy(prompt(40), 20));
  const ActiveRequest& poisoned = add(greedy(bad, 20));
  const ActiveRequest& other = add(greedy(prompt(12, 3), 20));
  run();
  EXPECT_EQ(poisoned.end_status.code(), StatusCode::kInternal);
  EXPECT_EQ(poisoned.end_reason, FinishReason::kError);
  EXPECT_EQ(metrics_.corrupted_requests.value(), 1U);
  expect_right(good);
  expect_right(other);
  // Only the first block, which `good` computed as well, may be found; not the poisoned one.
  const ActiveRequest& again = add(greedy(bad, 20));
  run();
  EXPECT_LE(again.cached_prompt_tokens, 16);
  EXPECT_EQ(again.end_reason, FinishReason::kError);
}

TEST_F(CoreTest, prompt_rows_are_scored_once_each) {
  start(options());
  request::GenerateRequest request = greedy(prompt(150), 5);
  request.sampling.prompt_logprobs = 0;
  add(greedy(prompt(150), 5));
  run();
  const ActiveRequest& active = add(std::move(request));
  run();
  expect_right(active);
  EXPECT_EQ(active.cached_prompt_tokens, 0);
  EXPECT_EQ(outcomes_[&active].prompt_logprobs.size(), 149U);
}

TEST_F(CoreTest, min_tokens_holds_back_the_end) {
  runtime::FakeModelOptions model;
  model.eos_probability = 1;
  start(options(), model);
  request::GenerateRequest request = greedy(prompt(5), 20);
  request.sampling.min_tokens = 4;
  const ActiveRequest& active = add(std::move(request));
  run();
  const Outcome& outcome = outcomes_[&active];
  ASSERT_EQ(outcome.tokens.at(0).size(), 5U);
  EXPECT_EQ(outcome.tokens.at(0).back(), 1);
  EXPECT_EQ(std::ranges::count(outcome.tokens.at(0), 1), 1);
  EXPECT_EQ(outcome.finish.at(0), FinishReason::kStop);
}

TEST_F(CoreTest, stop_ids_and_length_end_a_choice) {
  start(options());
  request::GenerateRequest request = greedy(prompt(5), 20);
  request.sampling.ignore_eos = true;
  const std::vector<TokenId> all = oracle(request);
  const ActiveRequest& by_length = add(request);
  request.sampling.stop_token_ids = {all[7]};
  const ActiveRequest& by_stop = add(request);
  run();
  EXPECT_EQ(outcomes_[&by_length].finish.at(0), FinishReason::kLength);
  EXPECT_EQ(outcomes_[&by_stop].finish.at(0), FinishReason::kStop);
  EXPECT_EQ(outcomes_[&by_stop].tokens.at(0).back(), all[7]);
}

TEST_F(CoreTest, a_choice_that_met_its_stop_string_ends_without_the_others) {
  start(options());
  request::GenerateRequest request = greedy(prompt(20), 30);
  request.sampling.ignore_eos = true;
  request.choice_count = 2;
  ActiveRequest& active = add(std::move(request));
  step();
  step();
  active.stopped_choices = 1;
  core_->signal();
  step();
  EXPECT_EQ(core_->scheduler().running().size(), 1U);
  run();
  EXPECT_LT(outcomes_[&active].tokens.at(0).size(), 30U);
  EXPECT_EQ(outcomes_[&active].tokens.at(1).size(), 30U);
  EXPECT_TRUE(active.end_status.ok());
}

TEST_F(CoreTest, latencies_of_a_version_are_measured_a_few_times_an_answer) {
  start(options());
  request::GenerateRequest asked = greedy(prompt(5), 1 + 16 + 64 + 3);
  asked.sampling.ignore_eos = true;
  const ActiveRequest& active = add(std::move(asked));
  run();
  EXPECT_TRUE(outcomes_[&active].ended);
  observe::Outcomes outcomes = metrics_.outcomes.read(clock_.now());
  EXPECT_EQ(outcomes.first_token.total(), 1U);
  EXPECT_EQ(outcomes.prompt_token.total(), 1U);
  // After 16 tokens, 64 more, and for the three left at the end; a step takes a millisecond.
  EXPECT_EQ(outcomes.inter_token.total(), 3U);
  EXPECT_NEAR(outcomes.inter_token.quantile(1), 1e-3, 1.1e-4);
  request::GenerateRequest probe = greedy(prompt(5), 40);
  probe.is_probe = true;
  add(std::move(probe));
  run();
  outcomes = metrics_.outcomes.read(clock_.now());
  EXPECT_EQ(outcomes.first_token.total(), 1U);
  EXPECT_EQ(outcomes.inter_token.total(), 3U);
}

}  // namespace
}  // namespace inferneo::engine
