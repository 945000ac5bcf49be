#include "manager/rollout_preview.h"

#include <algorithm>
#include <cmath>

#include "routing/statistics/evidence.h"
#include "routing/statistics/repeated_test.h"

namespace inferneo::manager {
namespace {

// More requests than these do not make a smaller error rate worth naming.
constexpr double kSampleMax = 5000;
// Three looks, half a second apart.
constexpr std::chrono::milliseconds kExtendedTime{1500};

Duration seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

// Whether so many errors among the candidate's requests, and none of the stable version, would be
// evidence enough at this stage.
bool is_found(std::uint64_t errors,
              std::uint64_t candidate,
              std::uint64_t stable,
              std::size_t stage,
              double risk) {
  routing::RepeatedTest<routing::OddsEvidence> test(routing::OddsEvidence(1e4), risk);
  for (std::size_t i = 0; i <= stage; ++i) test.begin_block();
  // The gates see it in spans of half a second or more, of which a stage has several.
  test.add(routing::Stratum{.candidate_hits = errors,
                            .candidate_values = candidate,
                            .stable_hits = 0,
                            .stable_values = stable});
  return test.strength() >= 1;
}

double detectable_error_rate(double candidate, double stable, std::size_t stage, double risk) {
  const auto values = static_cast<std::uint64_t>(std::min(candidate, kSampleMax));
  const auto others = static_cast<std::uint64_t>(std::min(stable, kSampleMax));
  if (values == 0 || !is_found(values, values, others, stage, risk)) return 1;
  std::uint64_t low = 0;
  std::uint64_t high = values;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (is_found(middle, values, others, stage, risk) ? high : low) = middle;
  }
  return static_cast<double>(high) / static_cast<double>(values);
}

}  // namespace

void preview_stages(const RolloutPolicy& policy, RolloutPreview& preview) {
  const double rate = preview.requests_per_second;
  const auto sample_min = static_cast<double>(policy.gates.sample_count_min);
  const double risk = policy.gates.false_alarm_rate / 6;
  Duration begins{};
  for (std::size_t i = 0; i < policy.stages_percent.size(); ++i) {
    const std::int32_t percent = policy.stages_percent[i];
    const double share = percent / 100.0;
    RolloutPreview::Stage stage;
    stage.percent = percent;
    stage.begins = begins;
    stage.extended =
        std::find(policy.extended_percent.begin(), policy.extended_percent.end(), percent) !=
        policy.extended_percent.end();
    stage.settle = percent < 50 ? policy.settle_below_half : policy.settle_from_half;
    if (rate > 0) {
      // The smaller share needs the longer time.
      const double smaller = percent == 100 ? 1 : std::min(share, 1 - share);
      const Duration needed = seconds(std::min(1e6, sample_min / (rate * smaller)));
      stage.enough_samples = needed <= stage.settle + policy.evidence_timeout;
      stage.wait =
          std::clamp<Duration>(needed - stage.settle, Duration::zero(), policy.evidence_timeout);
      const double time = to_seconds(stage.settle + stage.wait);
      stage.candidate_requests = rate * time * share;
      stage.detectable_error_rate = std::max(
          policy.gates.error_rate_max,
          detectable_error_rate(stage.candidate_requests, rate * time * (1 - share), i, risk));
    }
    begins += stage.settle + stage.wait + (stage.extended ? kExtendedTime : Duration::zero());
    preview.stages.push_back(stage);
  }
  preview.total = begins;
}

}  // namespace inferneo::manager
