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

}  // namespace
}  // namespace inferneo::manager
