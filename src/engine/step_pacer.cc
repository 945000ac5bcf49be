#include "engine/step_pacer.h"

#include <algorithm>
#include <limits>

namespace inferneo::engine {
namespace {

// A step may take this many times as long as one without prompts, even beyond the target. Why:
// where reading the weights alone takes longer than the target, prompts would crawl at the fewest
// tokens; so they have a third of the time, and streams keep two thirds of their speed.
constexpr double kSlowdown = 1.5;
// While several prompts wait, or more than streams run, a step may be longer, up to this.
// Why: a delay counts once for each who is delayed; the bound keeps every gap short to the eye.
constexpr double kQueueFactorMax = 3;
// Weight of a new duration. Why a quarter: follows a prompt whose attention gets dearer with its
// length within a few steps, and one slow step in ten moves it little.
constexpr double kWeight = 0.25;
// A duration counts at most as this many times the average: a page fault or a busy machine may make
// one step slow without saying anything about the next.
constexpr double kOutlier = 4;
// Least share of a step's duration that counts as its prompt's. Why: a chunk can be free (the
// weights are read anyway), but the next larger one is not.
constexpr double kPromptShareMin = 0.125;
// Chunks below this say little about the cost of a token.
constexpr std::int32_t kTellingTokenCount = kStepRowTile;

void average(std::optional<double>& mean, double sample, double weight) {
  if (!mean) {
    mean = sample;
    return;
  }
  *mean += weight * (std::min(sample, kOutlier * *mean) - *mean);
}

// The most prompt tokens, up to `count`, that fill whole tiles beside the streams; if these are too
// few, the fewest that are enough.
std::int32_t whole_tiles(std::int32_t stream_count, std::int32_t count) {
  const std::int32_t kept = std::max(count, kPacedPromptTokenCountMin + kStepRowTile - 1);
  return (stream_count + kept) / kStepRowTile * kStepRowTile - stream_count;
}

}  // namespace

StepPacer::StepPacer(Duration step_time_target) : target_seconds_(to_seconds(step_time_target)) {}

Duration StepPacer::limit(std::int32_t stream_count, std::int32_t prompt_count) const {
  const double waiting = std::max(static_cast<double>(prompt_count) / std::max(stream_count, 1),
                                  (prompt_count + 1) / 2.0);
  const double base = base_seconds_.value_or(0);
  const double target =
      std::max(target_seconds_, std::min(base * kPacedSlowdown, to_seconds(kPacedStepTime)));
  const double seconds =
      std::max(target * std::clamp(waiting, 1.0, kQueueFactorMax), base * kSlowdown);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::int32_t StepPacer::prompt_token_count_max(std::int32_t stream_count,
                                               std::int32_t prompt_count) const {
  if (target_seconds_ <= 0 || stream_count == 0) return std::numeric_limits<std::int32_t>::max();
  if (!token_seconds_) return whole_tiles(stream_count, 0);
  const double seconds = to_seconds(limit(stream_count, prompt_count)) - base_seconds_.value_or(0);
  // Why at most twice the last chunk: the cost is known near what was measured.
  const std::int32_t known = 2 * std::max(last_prompt_token_count_, kStepRowTile);
  const auto count =
      static_cast<std::int32_t>(std::min(seconds / *token_seconds_, static_cast<double>(known)));
  return whole_tiles(stream_count, count);
}

void StepPacer::observe(std::int32_t stream_count,
                        std::int32_t prompt_token_count,
                        Duration duration) {
  const double seconds = to_seconds(duration);
  if (prompt_token_count == 0) {
    if (stream_count > 0) average(base_seconds_, seconds, kWeight);
    return;
  }
  last_prompt_token_count_ = prompt_token_count;
  if (!token_seconds_ && prompt_token_count < kTellingTokenCount) return;
  // Why a least value: it is divided by, and a clock may not have moved.
  const double share = std::max(
      {seconds - base_seconds_.value_or(0), seconds * kPromptShareMin, 1e-9 * prompt_token_count});
  const double trust = std::min(1.0, static_cast<double>(prompt_token_count) / kTellingTokenCount);
  average(token_seconds_, share / prompt_token_count, kWeight * trust);
}

}  // namespace inferneo::engine
