// A rollout as values: what an operator asks for, what is kept over a crash, what is shown. The
// controller (manager/rollout_controller.h) makes the decisions.
// Thread: any (plain values).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "manager/version_host.h"

namespace inferneo::manager {

// What to do when a stage has had its time and there were too few requests to judge by.
enum class OnInconclusive : std::uint8_t { kAdvance, kPause, kRollback };
// What a rollout that was under way does when the process starts again.
enum class AfterCrash : std::uint8_t { kResume, kRollback };
// What a failed gate does: pausing leaves the decision to the operator.
enum class OnFailure : std::uint8_t { kRollback, kPause };

struct GatePolicy {
  // Chance that a candidate as good as the stable version is rolled back at any of its stages, by
  // any of the statistical gates, however often they are looked at.
  double false_alarm_rate = 0.01;
  // Requests of each version within a stage below which a gate says "inconclusive".
  std::int64_t sample_count_min = 20;
  // Error rates up to this are not a reason, even where the stable version has fewer.
  double error_rate_max = 0.01;
  // The candidate's 95th percentiles may be this much above the stable version's.
  double latency_ratio_max = 2;
  // And a first token so much later than that percentile is not late, whatever the ratio. Why: a
  // version with few requests sleeps between them, and on a busy machine it is woken some time
  // slices later (4 ms, measured), which is several times the first token of a small model.
  double first_token_slack_ms = 10;
  // Requests with non-finite logits that are tolerated. No statistics: a sound model has none.
  std::int64_t non_finite_count_max = 0;
};

// Called by HTTP POST with a JSON body; off unless listed.
struct Webhook {
  enum class When : std::uint8_t { kBeforeStage, kAfterStage, kEnd };
  std::string url;  // http[s]://host[:port]/path
  When when = When::kBeforeStage;
  // A failure (no 2xx after all retries) fails the rollout like a gate; otherwise it is recorded.
  bool required = false;
};

struct RolloutPolicy {
  // Shares of the candidate, ascending, 1 to 100, the last one 100.
  std::vector<std::int32_t> stages_percent{5, 15, 30, 50, 75, 90, 100};
  std::chrono::milliseconds settle_below_half{2000};  // time of a stage below 50 %
  std::chrono::milliseconds settle_from_half{5000};   // and from 50 %
  // Stages at which the golden prompts run again and three further looks must pass.
  std::vector<std::int32_t> extended_percent{50, 90};
  // How long a stage may wait beyond its settle time for enough requests while there are some; with
  // none at all it does not wait. Then on_inconclusive decides.
  std::chrono::milliseconds evidence_timeout{30'000};
  // Why advance: a name that nobody uses can be updated too; the golden prompts still have to
  // pass, and the verdict is recorded.
  OnInconclusive on_inconclusive = OnInconclusive::kAdvance;
  OnFailure on_failure = OnFailure::kRollback;
  AfterCrash after_crash = AfterCrash::kResume;
  std::chrono::milliseconds load_timeout{30 * 60'000};
  std::chrono::milliseconds golden_timeout{60'000};
  GatePolicy gates;
  // Empty: a short built-in prompt, whose answer must not be empty.
  std::vector<GoldenPrompt> golden;
  std::vector<Webhook> webhooks;
};

// Failures: invalid_argument with where() naming the field.
Status check_policy(const RolloutPolicy& policy);

struct RolloutRequest {
  std::string name;
  std::string candidate;  // version
  RolloutPolicy policy;
};

enum class RolloutPhase : std::uint8_t {
  kLoading,      // the candidate is loaded and warmed; all requests go to the stable version
  kValidating,   // golden prompts on the candidate before any request
  kBeforeStage,  // webhooks; the share is still the one before
  kSettling,     // the share of the stage is published and measured
  kExtended,     // golden prompts and further looks at a stage of extended validation
  kAfterStage,   // webhooks
  kCompleting,   // the candidate becomes live
  kRollingBack,  // the stable version has everything again, at once
  kCompleted,    // this and the following are terminal
  kRolledBack,   // by a gate, a webhook or after a crash
  kAborted,      // by the operator
  kFailed,       // the candidate got no request: it did not load, or failed its golden prompts
};
std::string_view phase_name(RolloutPhase phase);  // "before_stage"
bool is_terminal(RolloutPhase phase);

// One line of a rollout's history.
struct RolloutEvent {
  std::int64_t unix_ms = 0;
  RolloutPhase phase = RolloutPhase::kLoading;
  std::int32_t candidate_percent = 0;
  std::string text;
};

// What is kept: enough to go on or to roll back after a crash.
struct RolloutRecord {
  std::int64_t id = 0;  // ascending over the life of the store
  std::string name;
  std::string stable;
  std::string candidate;
  RolloutPolicy policy;
  RolloutPhase phase = RolloutPhase::kLoading;
  std::int32_t stage = -1;             // index into stages_percent; -1 before the first
  std::int32_t candidate_percent = 0;  // published share
  std::uint64_t salt = 0;
  bool paused = false;
  std::string reason;  // of a pause, rollback, abort or failure
  // Where a rollback leads to; only in phase kRollingBack.
  RolloutPhase outcome = RolloutPhase::kRolledBack;
  std::int64_t created_unix_ms = 0;
  std::int64_t updated_unix_ms = 0;
  std::vector<RolloutEvent> history;  // Bound: kRolloutEventCountMax, the oldest leave
};

// One JSON object; decode() reads what encode() of this or an earlier version wrote.
std::string encode(const RolloutRecord& record);
// Failures: corrupt_data naming the field.
Result<RolloutRecord> decode_rollout(std::string_view json);

enum class Verdict : std::uint8_t { kPass, kFail, kInconclusive };
std::string_view verdict_name(Verdict verdict);

// What one gate measured in the current stage and concludes from it.
struct GateReport {
  std::string gate;  // "error_rate", "first_token", "inter_token", "non_finite", "golden_prompts"
  Verdict verdict = Verdict::kInconclusive;
  double candidate = 0;  // rate, seconds at the 95th percentile, or count
  double stable = 0;
  std::int64_t candidate_samples = 0;
  std::int64_t stable_samples = 0;
  // Evidence that the candidate is worse: an e-value, and the value at which the gate fails.
  double evidence = 0;
  double evidence_needed = 0;
  std::string text;  // a sentence with the numbers
};

struct RolloutStatus {
  RolloutRecord record;
  Duration stage_age{};  // since the share was published
  std::vector<GateReport> gates;
};

// What would happen, with numbers, and nothing is changed.
struct RolloutPreview {
  struct Stage {
    std::int32_t percent = 0;
    bool extended = false;
    Duration begins{};  // after the candidate is ready
    Duration settle{};
    Duration wait{};  // beyond it, until there are enough requests at the rate of now
    // At the rate of requests now; negative when there are none.
    double candidate_requests = -1;
    bool enough_samples = false;
    // Smallest error rate of the candidate that the stage would find in its settle time, given
    // that rate; 1 or more: none.
    double detectable_error_rate = 1;
  };
  std::string name;
  std::string stable;
  std::string candidate;
  LoadPreview load;
  double requests_per_second = 0;  // of the stable version, over the last minute or so
  std::int32_t golden_prompt_count = 0;
  std::int32_t webhook_count = 0;
  Duration total{};  // of all stages, with enough requests
  std::vector<Stage> stages;
  std::vector<std::string> obstacles;  // why it would not start; empty when it would
};

}  // namespace inferneo::manager
