#include "manager/rollout.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStageTimeMax = std::chrono::hours(24 * 7);

Status wrong(std::string_view where, std::string message) {
  return invalid_argument(std::move(message)).with_where(std::string(where));
}

Status check_time(std::string_view where, milliseconds value, milliseconds min) {
  if (value >= min && value <= kStageTimeMax) return ok_status();
  return wrong(
      where, str("it is ", value.count(), " ms, not ", min.count(), " to ", kStageTimeMax.count()));
}

Status check_stages(const RolloutPolicy& policy) {
  const std::vector<std::int32_t>& stages = policy.stages_percent;
  if (stages.empty() || stages.size() > limits::kRolloutStageCountMax) {
    return wrong(
        "stages_percent",
        str("a rollout has 1 to ", limits::kRolloutStageCountMax, " stages, not ", stages.size()));
  }
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (stages[i] < 1 || stages[i] > 100 || (i > 0 && stages[i] <= stages[i - 1])) {
      return wrong(
          "stages_percent",
          str("stages are ascending percentages of 1 to 100; number ", i + 1, " is ", stages[i]));
    }
  }
  if (stages.back() != 100) {
    return wrong("stages_percent", str("the last stage is ", stages.back(), " %, not 100"));
  }
  for (const std::int32_t percent : policy.extended_percent) {
    if (std::find(stages.begin(), stages.end(), percent) == stages.end()) {
      return wrong("extended_percent", str(percent, " % is not one of the stages"))
          .with_hint("name stages of stages_percent, or none");
    }
  }
  return ok_status();
}

Status check_gates(const GatePolicy& gates) {
  if (!(gates.false_alarm_rate > 0 && gates.false_alarm_rate <= 0.5)) {
    return wrong("gates.false_alarm_rate", "the rate of false alarms is above 0 and at most 0.5");
  }
  if (gates.sample_count_min < 0 || gates.sample_count_min > 1'000'000) {
    return wrong("gates.sample_count_min", "the smallest sample is 0 to 1000000 requests");
  }
  if (!(gates.error_rate_max >= 0 && gates.error_rate_max <= 1)) {
    return wrong("gates.error_rate_max", "an error rate is 0 to 1");
  }
  if (!(gates.latency_ratio_max >= 1 && gates.latency_ratio_max <= 1000)) {
    return wrong("gates.latency_ratio_max", "the ratio of latencies is 1 to 1000");
  }
  if (!(gates.first_token_slack_ms >= 0 && gates.first_token_slack_ms <= 60'000)) {
    return wrong("gates.first_token_slack_ms", "the slack of first tokens is 0 to 60000 ms");
  }
  if (gates.non_finite_count_max < 0) {
    return wrong("gates.non_finite_count_max", "a count is not negative");
  }
  return ok_status();
}

Status check_golden(const std::vector<GoldenPrompt>& prompts) {
  if (prompts.size() > limits::kGoldenPromptCountMax) {
    return wrong(
        "golden",
        str("at most ", limits::kGoldenPromptCountMax, " golden prompts, not ", prompts.size()));
  }
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const GoldenPrompt& prompt = prompts[i];
    const std::string place = str("golden[", i, "].");
    if (prompt.prompt.empty() || prompt.prompt.size() > limits::kGoldenPromptSizeMax ||
        prompt.expected.size() > limits::kGoldenPromptSizeMax) {
      return wrong(place + "prompt",
                   str("a golden prompt has 1 to ", limits::kGoldenPromptSizeMax, " bytes"));
    }
    if (!utf8::is_valid(prompt.prompt) || !utf8::is_valid(prompt.expected)) {
      return wrong(place + "prompt", "a golden prompt and its answer are valid UTF-8");
    }
    if (prompt.max_tokens < 1 || prompt.max_tokens > limits::kGoldenPromptTokensMax) {
      return wrong(
          place + "max_tokens",
          str("max_tokens is 1 to ", limits::kGoldenPromptTokensMax, ", not ", prompt.max_tokens));
    }
  }
  return ok_status();
}

Status check_webhooks(const std::vector<Webhook>& webhooks) {
  if (webhooks.size() > limits::kWebhookCountMax) {
    return wrong("webhooks",
                 str("at most ", limits::kWebhookCountMax, " webhooks, not ", webhooks.size()));
  }
  for (std::size_t i = 0; i < webhooks.size(); ++i) {
    const Webhook& hook = webhooks[i];
    const bool is_printable =
        std::all_of(hook.url.begin(), hook.url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    const bool is_http = hook.url.starts_with("http://") || hook.url.starts_with("https://");
    if (!is_http || hook.url.size() > limits::kWebhookUrlSizeMax || !is_printable) {
      return wrong(
          str("webhooks[", i, "].url"),
          str("'", printable(hook.url), "' is not a URL that begins with http:// or https://"));
    }
  }
  return ok_status();
}

}  // namespace

Status check_policy(const RolloutPolicy& policy) {
  RETURN_IF_ERROR(check_stages(policy));
  RETURN_IF_ERROR(check_time("settle_below_half_ms", policy.settle_below_half, milliseconds(0)));
  RETURN_IF_ERROR(check_time("settle_from_half_ms", policy.settle_from_half, milliseconds(0)));
  RETURN_IF_ERROR(check_time("evidence_timeout_ms", policy.evidence_timeout, milliseconds(0)));
  RETURN_IF_ERROR(check_time("load_timeout_ms", policy.load_timeout, milliseconds(1)));
  RETURN_IF_ERROR(check_time("golden_timeout_ms", policy.golden_timeout, milliseconds(1)));
  RETURN_IF_ERROR(check_gates(policy.gates));
  RETURN_IF_ERROR(check_golden(policy.golden));
  return check_webhooks(policy.webhooks);
}

std::string_view phase_name(RolloutPhase phase) {
  static constexpr std::array<std::string_view, 12> kNames{"loading",
                                                           "validating",
                                                           "before_stage",
                                                           "settling",
                                                           "extended",
                                                           "after_stage",
                                                           "completing",
                                                           "rolling_back",
                                                           "completed",
                                                           "rolled_back",
                                                           "aborted",
                                                           "failed"};
  return kNames[static_cast<std::size_t>(phase)];
}

bool is_terminal(RolloutPhase phase) { return phase >= RolloutPhase::kCompleted; }

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "inconclusive";
}

}  // namespace inferneo::manager
