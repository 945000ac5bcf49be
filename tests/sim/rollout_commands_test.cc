// What an operator can do with a rollout, and what it answers, on the simulated world.
#include <gtest/gtest.h>

#include <memory>

#include "base/str.h"
#include "rollout_world.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kName(RolloutWorld::kName);

class RolloutCommands : public ::testing::Test {
 protected:
  RolloutCommands() : world(1) {
    world.traffic.requests_per_second = 100;
    controller = std::make_unique<RolloutController>(world.environment());
  }
  RolloutRequest request(RolloutPolicy policy = {}, std::string candidate = "2") {
    return {.name = kName, .candidate = std::move(candidate), .policy = std::move(policy)};
  }
  void start(const RolloutPolicy& policy = {}) {
    const auto id = controller->start(request(policy));
    ASSERT_TRUE(id.has_value()) << id.status().to_string();
  }
  void step(Duration time = RolloutController::kTickInterval) {
    for (Duration done{}; done < time; done += RolloutController::kTickInterval) {
      world.advance(RolloutController::kTickInterval);
      controller->tick();
    }
  }
  void step_to_percent(std::int32_t percent) {
    for (int i = 0; i < 3000 && record().candidate_percent < percent; ++i) step();
    ASSERT_EQ(record().candidate_percent, percent) << record().reason;
  }
  void run() {
    for (int i = 0; i < 6000 && controller->is_under_way(kName); ++i) step();
  }
  RolloutRecord record() { return controller->status(kName)->record; }
  bool history_has(std::string_view text) {
    for (const RolloutEvent& event : record().history) {
      if (event.text.find(text) != std::string::npos) return true;
    }
    return false;
  }

  RolloutWorld world;
  std::unique_ptr<RolloutController> controller;
};

TEST_F(RolloutCommands, what_cannot_start_says_why) {
  EXPECT_EQ(controller->start({.name = "other", .candidate = "2", .policy = {}}).error().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(controller->start(request({}, "7")).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(controller->start(request({}, "1")).error().code(), StatusCode::kFailedPrecondition);
  RolloutPolicy odd;
  odd.stages_percent = {50, 20, 100};
  EXPECT_EQ(controller->start(request(odd)).error().where(), "stages_percent");
  start();
  const auto again = controller->start(request());
  EXPECT_EQ(again.error().code(), StatusCode::kAlreadyExists);
  EXPECT_NE(again.error().message().find("number 1, phase loading"), std::string::npos);
  EXPECT_EQ(world.records.size(), 1U);
}

TEST_F(RolloutCommands, nothing_is_under_way_without_a_start) {
  EXPECT_EQ(controller->pause(kName, "").code(), StatusCode::kNotFound);
  EXPECT_EQ(controller->resume(kName).code(), StatusCode::kNotFound);
  EXPECT_EQ(controller->promote(kName).code(), StatusCode::kNotFound);
  EXPECT_EQ(controller->abort(kName, "").code(), StatusCode::kNotFound);
  EXPECT_EQ(controller->status(kName).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(controller->status(1).error().code(), StatusCode::kNotFound);
  EXPECT_TRUE(controller->list().empty());
}

TEST_F(RolloutCommands, a_pause_keeps_the_share_and_the_gates_watch_on) {
  start();
  step_to_percent(15);
  ASSERT_TRUE(controller->pause(kName, "lunch").ok());
  step(seconds(60));
  EXPECT_EQ(record().candidate_percent, 15);
  EXPECT_TRUE(record().paused);
  EXPECT_EQ(record().reason, "lunch");
  world.behaviours["2"].error_rate = 1;
  step(seconds(5));
  EXPECT_EQ(record().phase, RolloutPhase::kRolledBack) << "paused is not unwatched";
}

TEST_F(RolloutCommands, resuming_goes_on_from_the_same_stage) {
  start();
  step_to_percent(15);
  ASSERT_TRUE(controller->pause(kName, "").ok());
  step(seconds(10));
  ASSERT_TRUE(controller->resume(kName).ok());
  step();
  EXPECT_EQ(record().candidate_percent, 15) << "the stage settles anew";
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
}

TEST_F(RolloutCommands, promoting_skips_the_rest_of_a_stage_or_all_stages) {
  start();
  EXPECT_EQ(controller->promote(kName).code(), StatusCode::kFailedPrecondition)
      << "the candidate is not even loaded";
  step_to_percent(5);
  ASSERT_TRUE(controller->promote(kName).ok());
  EXPECT_EQ(record().candidate_percent, 15);
  ASSERT_TRUE(controller->promote(kName, /*fully=*/true).ok());
  EXPECT_EQ(record().candidate_percent, 100);
  EXPECT_EQ(world.live, "1") << "the last stage is watched too";
  ASSERT_TRUE(controller->promote(kName).ok());
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted);
  EXPECT_EQ(world.live, "2");
}

TEST_F(RolloutCommands, an_abort_is_instant_and_keeps_its_reason) {
  start();
  step_to_percent(50);
  ASSERT_TRUE(controller->abort(kName, "wrong weights").ok());
  EXPECT_EQ(record().phase, RolloutPhase::kAborted);
  EXPECT_EQ(record().reason, "wrong weights");
  world.routed.clear();
  world.advance(seconds(1));
  EXPECT_EQ(world.routed["2"], 0U);
  EXPECT_EQ(controller->abort(kName, "").code(), StatusCode::kNotFound);
  EXPECT_EQ(world.violation, "");
}

TEST_F(RolloutCommands, a_failed_gate_can_pause_and_the_operator_decides) {
  RolloutPolicy policy;
  policy.on_failure = OnFailure::kPause;
  start(policy);
  step_to_percent(30);
  world.behaviours["2"].error_rate = 0.5;
  step(seconds(5));
  EXPECT_TRUE(record().paused);
  EXPECT_EQ(record().candidate_percent, 30);
  EXPECT_TRUE(record().reason.starts_with("error_rate: errors: ")) << record().reason;
  const std::size_t events = record().history.size();
  step(seconds(5));
  EXPECT_EQ(record().history.size(), events) << "it is said once";
  world.behaviours["2"].error_rate = 0;
  ASSERT_TRUE(controller->resume(kName).ok());
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
}

TEST_F(RolloutCommands, a_version_that_fails_before_it_gets_requests_never_gets_any) {
  world.behaviours["2"].golden_passes = false;
  start();
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kFailed);
  EXPECT_NE(record().reason.find("Paris"), std::string::npos) << record().reason;
  EXPECT_EQ(world.routed["2"], 0U);
  world.behaviours["2"] = {.loads = false};
  world.is_over = false;
  start();
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kFailed);
  EXPECT_NE(record().reason.find("a tensor is missing"), std::string::npos) << record().reason;
  EXPECT_EQ(controller->list().size(), 2U);
  EXPECT_EQ(controller->list().front().record.id, 2);
}

TEST_F(RolloutCommands, golden_prompts_that_fail_at_half_the_requests_roll_back) {
  start();
  step_to_percent(50);
  world.behaviours["2"].golden_passes = false;
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kRolledBack);
  EXPECT_TRUE(record().reason.starts_with("golden_prompts: 1 of 3")) << record().reason;
}

TEST_F(RolloutCommands, a_name_that_nobody_uses_is_updated_with_the_verdict_on_record) {
  world.traffic.requests_per_second = 0;
  start();
  const TimePoint began = world.clock.now();
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
  EXPECT_TRUE(history_has("stage of 5 % inconclusive: there were no requests"));
  EXPECT_LT(to_seconds(world.clock.now() - began), 35) << "no waiting for nobody";
}

TEST_F(RolloutCommands, without_enough_requests_the_policy_decides) {
  world.traffic.requests_per_second = 2;
  RolloutPolicy policy;
  policy.evidence_timeout = milliseconds(3000);
  policy.on_inconclusive = OnInconclusive::kPause;
  start(policy);
  step(seconds(10));
  EXPECT_TRUE(record().paused);
  EXPECT_EQ(record().reason, "inconclusive: too few requests");
  ASSERT_TRUE(controller->abort(kName, "").ok());
  world.is_over = false;
  world.shares.clear();
  policy.on_inconclusive = OnInconclusive::kRollback;
  start(policy);
  step(seconds(10));
  EXPECT_EQ(record().phase, RolloutPhase::kRolledBack);
}

TEST_F(RolloutCommands, webhooks_are_called_around_stages_and_required_ones_decide) {
  RolloutPolicy policy;
  policy.stages_percent = {50, 100};
  policy.extended_percent = {};
  policy.webhooks = {{.url = "http://h/b", .when = Webhook::When::kBeforeStage},
                     {.url = "http://h/a", .when = Webhook::When::kAfterStage, .required = true},
                     {.url = "http://h/e", .when = Webhook::When::kEnd}};
  start(policy);
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
  ASSERT_EQ(world.hooks.size(), 5U);
  EXPECT_EQ(world.hooks[0],
            R"({"event": "before_stage", "rollout": 1, "name": "team/model", "stable": "1", )"
            R"("candidate": "2", "percent": 50, "phase": "before_stage", "reason": ""})");
  EXPECT_NE(world.hooks[1].find("after_stage"), std::string::npos);
  EXPECT_NE(world.hooks[4].find("\"end\""), std::string::npos);
  EXPECT_NE(world.hooks[4].find("completed"), std::string::npos);
}

TEST_F(RolloutCommands, a_failed_webhook_counts_only_when_it_is_required) {
  world.hook_failure_rate = 1;
  RolloutPolicy policy;
  policy.stages_percent = {50, 100};
  policy.extended_percent = {};
  policy.webhooks = {{.url = "http://h/b", .when = Webhook::When::kBeforeStage}};
  start(policy);
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
  EXPECT_TRUE(history_has("webhook http://h/b: answered 500"));
  world.live = "1";
  world.is_over = false;
  world.shares.clear();
  world.start_live();
  policy.webhooks[0].required = true;
  start(policy);
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kRolledBack);
  EXPECT_EQ(record().reason, "webhook http://h/b: answered 500 three times");
  EXPECT_EQ(world.routed["2"] > 0, true);
}

TEST_F(RolloutCommands, a_dry_run_has_numbers_and_changes_nothing) {
  world.advance(seconds(120));
  const std::uint64_t trace = world.trace;
  const auto preview = controller->preview(request());
  ASSERT_TRUE(preview.has_value()) << preview.status().to_string();
  EXPECT_EQ(world.trace, trace);
  EXPECT_TRUE(world.records.empty());
  EXPECT_EQ(preview->stable, "1");
  EXPECT_NEAR(preview->requests_per_second, 100, 10);
  ASSERT_EQ(preview->stages.size(), 7U);
  EXPECT_EQ(preview->stages[0].percent, 5);
  // 20 requests at 5 per second.
  EXPECT_NEAR(to_seconds(preview->stages[0].settle + preview->stages[0].wait), 4, 0.5);
  EXPECT_TRUE(preview->stages[0].enough_samples);
  EXPECT_TRUE(preview->stages[3].extended);
  EXPECT_NEAR(preview->stages[3].candidate_requests, 250, 30);
  EXPECT_LT(preview->stages[3].detectable_error_rate, 0.1);
  EXPECT_GT(preview->stages[0].detectable_error_rate, 0.05);
  EXPECT_GT(to_seconds(preview->total), 28);
  EXPECT_TRUE(preview->obstacles.empty());
  EXPECT_EQ(controller->preview(request({}, "1"))->obstacles.size(), 1U);
  EXPECT_EQ(controller->preview(request({}, "9")).error().code(), StatusCode::kNotFound);
}

TEST_F(RolloutCommands, a_process_that_stood_still_runs_into_no_timeout) {
  start();
  step_to_percent(30);
  // A minute without a tick; the clock went on and so did nothing else.
  world.clock.advance(seconds(60));
  step(milliseconds(300));
  EXPECT_NE(record().phase, RolloutPhase::kRolledBack) << record().reason;
  EXPECT_LE(record().candidate_percent, 50);
  run();
  EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
}

TEST_F(RolloutCommands, after_a_restart_it_goes_on_or_back_as_the_policy_says) {
  for (const AfterCrash after : {AfterCrash::kResume, AfterCrash::kRollback}) {
    RolloutPolicy policy;
    policy.after_crash = after;
    world.is_over = false;
    world.shares.clear();
    start(policy);
    step_to_percent(30);
    world.restart();
    controller = std::make_unique<RolloutController>(world.environment());
    ASSERT_TRUE(controller->restore().ok());
    step(seconds(1));
    if (after == AfterCrash::kRollback) {
      EXPECT_EQ(record().phase, RolloutPhase::kRolledBack);
      EXPECT_EQ(world.live, "1");
      continue;
    }
    EXPECT_EQ(record().candidate_percent, 30) << "the same stage, entered again";
    run();
    EXPECT_EQ(record().phase, RolloutPhase::kCompleted) << record().reason;
    world.live = "1";
    world.restart();
    controller = std::make_unique<RolloutController>(world.environment());
    ASSERT_TRUE(controller->restore().ok());
  }
  EXPECT_EQ(world.violation, "");
}

TEST_F(RolloutCommands, a_store_that_fails_holds_the_rollout_but_not_the_way_back) {
  start();
  step_to_percent(15);
  world.save_failure_rate = 1;
  step(seconds(30));
  EXPECT_EQ(record().candidate_percent, 15) << "no step without a record of it";
  EXPECT_EQ(controller->pause(kName, "").code(), StatusCode::kUnavailable);
  world.behaviours["2"].error_rate = 1;
  step(seconds(5));
  world.routed.clear();
  world.advance(seconds(1));
  EXPECT_EQ(world.routed["2"], 0U);
  world.save_failure_rate = 0;
  step(seconds(1));
  EXPECT_EQ(record().phase, RolloutPhase::kRolledBack);
}

}  // namespace
}  // namespace inferneo::manager
