#include "manager/rollout_gates.h"

#include <gtest/gtest.h>

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;

// Requests with logits that are not finite fail, so errors show it too; whoever reads the reason
// must learn the cause, however many there were before anybody looked.
TEST(RolloutGates, the_reason_is_the_cause_and_not_the_symptom) {
  Readings readings;
  TimePoint now{};
  RolloutGates gates(GatePolicy{}, readings, now);
  gates.begin_stage(30, readings, now);
  for (int look = 0; look < 50; ++look) {
    now += milliseconds(100);
    readings.stable.begun += 70;
    readings.stable.succeeded += 70;
    readings.candidate.begun += 30;
    readings.candidate.failed += 30;
    readings.candidate.non_finite += 30;
    gates.observe(readings, now);
  }
  std::size_t failing = 0;
  for (const GateReport& report : gates.reports()) {
    if (report.verdict == Verdict::kFail) ++failing;
  }
  EXPECT_GE(failing, 2U) << "errors fail too";
  EXPECT_TRUE(gates.failure().starts_with("non_finite: 1500 requests")) << gates.failure();
}

// Why it fails when each version answers some requests in every tenth of a second, after so long.
std::string failure_of_first_tokens(double stable_seconds,
                                    double candidate_seconds,
                                    const GatePolicy& policy) {
  constexpr std::uint64_t kPromptTokens = 10;
  const auto answer = [](observe::Outcomes& outcomes, std::uint64_t count, double seconds) {
    outcomes.begun += count;
    outcomes.succeeded += count;
    outcomes.first_token.buckets[observe::latency_bucket(seconds)] += count;
    outcomes.prompt_token.buckets[observe::latency_bucket(seconds / kPromptTokens)] += count;
  };
  Readings readings;
  TimePoint now{};
  answer(readings.stable, 100, stable_seconds);
  RolloutGates gates(policy, readings, now);
  gates.begin_stage(15, readings, now);
  for (int look = 0; look < 50; ++look) {
    now += milliseconds(100);
    answer(readings.stable, 85, stable_seconds);
    answer(readings.candidate, 15, candidate_seconds);
    gates.observe(readings, now);
  }
  return gates.failure();
}

TEST(RolloutGates, a_first_token_that_waited_for_a_time_slice_is_not_late) {
  EXPECT_EQ(failure_of_first_tokens(0.0012, 0.0040, {}), "");
  EXPECT_NE(failure_of_first_tokens(0.0012, 0.0040, {.first_token_slack_ms = 0}), "");
  EXPECT_NE(failure_of_first_tokens(0.0012, 0.0150, {}), "");
  EXPECT_EQ(failure_of_first_tokens(0.1, 0.19, {}), "");
  const std::string late = failure_of_first_tokens(0.1, 0.25, {});
  EXPECT_TRUE(late.ends_with("up to 2 times as much, or 10 ms more, is allowed")) << late;
}

}  // namespace
}  // namespace inferneo::manager
