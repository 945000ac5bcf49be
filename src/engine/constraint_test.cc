// What the engine makes of a request's constraint, with scripted constraints and the fake runtime.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/manual_clock.h"
#include "engine/engine_core.h"
#include "engine/output_writer.h"
#include "runtime/fake_runtime.h"

namespace inferneo::engine {
namespace {

using request::FinishReason;

constexpr TokenId kEos = 0;

// A word of an answer: one of several tokens, or one that follows in any case.
struct Word {
  std::vector<TokenId> options;
  bool forced = false;
};

struct Script {
  std::vector<Word> words;
  // The answer may end before this word; at its end it must.
  std::size_t end_from = SIZE_MAX;
  std::optional<std::size_t> breaks_at;  // reports a fault here
};

class ScriptState final : public request::ConstraintState {
 public:
  explicit ScriptState(const Script& script) : script_(script), mask_(1) { fill(); }
  request::TokenMask mask() override { return mask_; }
  bool accept(TokenId id) override {
    if (!request::allows(mask_, id)) {
      status_ = invalid_argument("scripted: not allowed");
      return false;
    }
    ++at_;
    fill();
    return true;
  }
  [[nodiscard]] bool may_end() const override {
    return at_ >= script_.end_from || at_ == script_.words.size();
  }
  [[nodiscard]] bool must_end() const override { return at_ == script_.words.size(); }
  std::span<const TokenId> forced() override {
    forced_.clear();
    for (std::size_t i = at_; i < script_.words.size() && script_.words[i].forced; ++i) {
      forced_.push_back(script_.words[i].options.front());
    }
    return forced_;
  }
  [[nodiscard]] const Status& status() const override { return status_; }

 private:
  void fill() {
    mask_[0] = 0;
    if (script_.breaks_at == at_) {
      status_ = invalid_argument("scripted: broken");
      return;
    }
    if (at_ == script_.words.size()) return;
    for (const TokenId id : script_.words[at_].options) mask_[0] |= std::uint64_t{1} << id;
  }

  const Script& script_;
  std::size_t at_ = 0;
  std::vector<std::uint64_t> mask_;
  std::vector<TokenId> forced_;
  Status status_;
};

class ScriptConstraint final : public request::TokenConstraint {
 public:
  explicit ScriptConstraint(Script script) : script_(std::move(script)) {}
  [[nodiscard]] std::unique_ptr<request::ConstraintState> start() const override {
    return std::make_unique<ScriptState>(script_);
  }
  [[nodiscard]] std::size_t size_bytes() const override { return sizeof(*this); }

 private:
  const Script script_;
};

struct Answer {
  std::vector<TokenId> shown;
  std::optional<FinishReason> finish;
};

class ConstraintTest : public ::testing::Test {
 protected:
  ConstraintTest() {
    runtime::FakeModelOptions model;
    model.clock = &clock_;
    model.vocab_size = 64;
    model.eos_token_id = kEos;
    model.eos_probability = 0;
    model_ = std::make_unique<runtime::FakeModel>(model);
    const CoreOptions options{48, 8, 32, 64, true, 7, {}};
    runner_ = model_->make_fake_runner(EngineCore::runner_options(options));
    core_ = std::make_unique<EngineCore>(options, model_->info(), *runner_, clock_, metrics_);
  }
  void TearDown() override { EXPECT_EQ(runner_->violation(), ""); }

  ActiveRequest& add(Script script, std::int32_t max_tokens = 64) {
    auto active = std::make_unique<ActiveRequest>();
    active->request.prompt = {5, 6, 7, static_cast<TokenId>(8 + requests_.size())};
    active->request.sampling.temperature = 1;
    active->request.sampling.seed = 3;
    active->request.sampling.max_tokens = max_tokens;
    active->request.constraint = std::make_shared<ScriptConstraint>(std::move(script));
    requests_.push_back(std::move(active));
    return *requests_.back();
  }
  void run() {
    for (const auto& request : requests_) core_->add(*request);
    for (int i = 0; i < 1000 && core_->has_work(); ++i) {
      for (const TokenEvent& event : core_->step()) {
        if (event.kind != TokenEvent::Kind::kToken) continue;
        Answer& answer = answers_[event.request][event.choice];
        if (!event.hidden) answer.shown.push_back(event.sampled.id);
        if (event.ends_choice) answer.finish = event.finish;
      }
      ++steps_;
    }
    EXPECT_FALSE(core_->has_work());
  }
  const Answer& answer(const ActiveRequest& request, std::int32_t choice = 0) {
    return answers_[&request][choice];
  }

  ManualClock clock_;
  observe::ModelMetrics metrics_;
  std::unique_ptr<runtime::FakeModel> model_;
  std::unique_ptr<runtime::FakeRunner> runner_;
  std::unique_ptr<EngineCore> core_;
  std::vector<std::unique_ptr<ActiveRequest>> requests_;
  std::map<const ActiveRequest*, std::map<std::int32_t, Answer>> answers_;
  int steps_ = 0;
};

TEST_F(ConstraintTest, draws_only_what_is_allowed_and_ends_without_an_end_token) {
  const ActiveRequest& request = add({{{{20}}, {{21, 22}}, {{23}}}});
  run();
  ASSERT_EQ(answer(request).shown.size(), 3U);
  EXPECT_EQ(answer(request).shown[0], 20);
  EXPECT_EQ(answer(request).shown[2], 23);
  EXPECT_EQ(answer(request).finish, FinishReason::kStop);
  EXPECT_TRUE(request.end_status.ok());
}

TEST_F(ConstraintTest, forced_tokens_take_one_step_together) {
  Script script;
  script.words.push_back({{20}});
  for (TokenId id = 30; id < 50; ++id) script.words.push_back({{id}, true});
  script.words.push_back({{21, 22}});
  const ActiveRequest& request = add(script);
  run();
  ASSERT_EQ(answer(request).shown.size(), 22U);
  for (TokenId i = 0; i < 20; ++i) EXPECT_EQ(answer(request).shown[1 + std::size_t(i)], 30 + i);
  // Prompt, the chunk of forced tokens.
  EXPECT_EQ(steps_, 2);
}

TEST_F(ConstraintTest, forced_tokens_with_log_probabilities_are_computed_one_by_one) {
  Script script;
  script.words.push_back({{20}});
  for (TokenId id = 30; id < 35; ++id) script.words.push_back({{id}, true});
  ActiveRequest& request = add(script);
  request.request.sampling.logprobs = 1;
  run();
  EXPECT_EQ(answer(request).shown, (std::vector<TokenId>{20, 30, 31, 32, 33, 34}));
  EXPECT_EQ(steps_, 6);
}

TEST_F(ConstraintTest, max_tokens_cuts_forced_text) {
  Script script;
  script.words.push_back({{20}});
  for (TokenId id = 30; id < 50; ++id) script.words.push_back({{id}, true});
  const ActiveRequest& request = add(script, 7);
  run();
  EXPECT_EQ(answer(request).shown.size(), 7U);
  EXPECT_EQ(answer(request).finish, FinishReason::kLength);
}

TEST_F(ConstraintTest, end_tokens_are_drawn_only_where_the_text_is_complete) {
  Script script;
  for (int i = 0; i < 40; ++i) script.words.push_back({{20, 21}});
  script.end_from = 5;
  ActiveRequest& request = add(script);
  // Strongly wanted from the start.
  request.request.sampling.logit_bias = {{kEos, 100}};
  run();
  EXPECT_EQ(answer(request).shown.size(), 5U);
  EXPECT_EQ(answer(request).finish, FinishReason::kStop);
}

TEST_F(ConstraintTest, min_tokens_holds_until_the_text_cannot_go_on) {
  Script script;
  for (int i = 0; i < 12; ++i) script.words.push_back({{20, 21}});
  script.end_from = 2;
  ActiveRequest& request = add(script);
  request.request.sampling.logit_bias = {{kEos, 100}};
  request.request.sampling.min_tokens = 9;
  ActiveRequest& longer = add(script);
  longer.request.sampling.logit_bias = {{kEos, 100}};
  longer.request.sampling.min_tokens = 30;
  run();
  EXPECT_EQ(answer(request).shown.size(), 9U);
  EXPECT_EQ(answer(longer).shown.size(), 12U);
  EXPECT_EQ(answer(longer).finish, FinishReason::kStop);
}

TEST_F(ConstraintTest, each_choice_has_its_own_state) {
  Script script;
  for (int i = 0; i < 6; ++i) script.words.push_back({{20 + i, 40 + i}, false});
  ActiveRequest& request = add(script);
  request.request.choice_count = 4;
  run();
  std::set<std::vector<TokenId>> different;
  for (std::int32_t choice = 0; choice < 4; ++choice) {
    const std::vector<TokenId>& shown = answer(request, choice).shown;
    ASSERT_EQ(shown.size(), 6U);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(shown[i] % 20, static_cast<TokenId>(i));
    different.insert(shown);
  }
  EXPECT_GT(different.size(), 1U);
}

TEST_F(ConstraintTest, survives_preemption) {
  // 48 blocks hold three of these at their end.
  Script script;
  for (int i = 0; i < 240; ++i) script.words.push_back({{20 + i % 20, 40 + i % 20}, i % 7 == 3});
  std::vector<ActiveRequest*> all;
  for (int i = 0; i < 5; ++i) all.push_back(&add(script, 240));
  run();
  EXPECT_GT(core_->scheduler().preemption_count(), 0U);
  for (const ActiveRequest* request : all) {
    const std::vector<TokenId>& shown = answer(*request).shown;
    ASSERT_EQ(shown.size(), 240U);
    for (std::size_t i = 0; i < 240; ++i) {
      EXPECT_EQ(shown[i] % 20, static_cast<TokenId>(i % 20)) << i;
    }
  }
}

TEST_F(ConstraintTest, a_fault_ends_its_request_only) {
  Script broken;
  for (int i = 0; i < 20; ++i) broken.words.push_back({{20, 21}});
  broken.breaks_at = 4;
  const ActiveRequest& bad = add(broken);
  const ActiveRequest& good = add({{{{30}}, {{31}}, {{32}}, {{33}}, {{34}}, {{35}}, {{36}}}});
  run();
  EXPECT_EQ(bad.end_status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(bad.end_status.message(), "scripted: broken");
  EXPECT_TRUE(good.end_status.ok());
  EXPECT_EQ(answer(good).shown.size(), 7U);
}

TEST_F(ConstraintTest, a_stop_id_that_is_a_word_ends_only_a_complete_text) {
  Script script;
  for (int i = 0; i < 30; ++i) script.words.push_back({{20, 21}});
  script.end_from = 6;
  ActiveRequest& request = add(script);
  request.request.sampling.stop_token_ids = {20};
  request.request.sampling.logit_bias = {{20, 100}};
  run();
  EXPECT_EQ(answer(request).shown, (std::vector<TokenId>(6, 21)));
  EXPECT_EQ(answer(request).finish, FinishReason::kStop);
}

}  // namespace
}  // namespace inferneo::engine
