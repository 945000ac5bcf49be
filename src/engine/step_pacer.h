// Chooses how many prompt tokens a step may carry beside running streams, so that these keep their
// pace while prompts are computed. Learns from the duration of past steps; has no clock of its own,
// so the same steps and durations give the same choice.
// Model: duration = base + cost * prompt tokens. The base is learnt from steps without prompts, the
// cost from those with; both as exponential averages.
// Thread: engine. Allocates nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace inferneo::engine {

// Rows of a step, streams and prompt tokens together, come in whole tiles of matrix kernels.
inline constexpr std::int32_t kStepRowTile = 16;
// Fewest prompt tokens that a step may carry, so that prompts advance however slow the steps are.
// Why a tile: a step reads all weights anyway, so that these cost next to nothing.
inline constexpr std::int32_t kPacedPromptTokenCountMin = kStepRowTile;

// Where a step without prompts takes a good part of the target, prompts beside streams would pay
// all of it for few tokens. So a step may take this many times as long as one without prompts, up
// to a time that no reader sees.
inline constexpr double kPacedSlowdown = 3;
inline constexpr std::chrono::milliseconds kPacedStepTime{80};

class StepPacer {
 public:
  // Zero means no pace: all prompt tokens that fit into a step.
  explicit StepPacer(Duration step_time_target);

  // Prompt tokens that one step may carry beside `stream_count` decoding sequences, while
  // `prompt_count` prompts are to be computed. No limit when nobody decodes.
  [[nodiscard]] std::int32_t prompt_token_count_max(std::int32_t stream_count,
                                                    std::int32_t prompt_count) const;
  // A step that computed so much took `duration`.
  void observe(std::int32_t stream_count, std::int32_t prompt_token_count, Duration duration);

  // The duration that a step beside these streams and prompts aims at.
  [[nodiscard]] Duration limit(std::int32_t stream_count, std::int32_t prompt_count) const;

 private:
  const double target_seconds_;
  std::optional<double> base_seconds_;
  std::optional<double> token_seconds_;
  std::int32_t last_prompt_token_count_ = 0;
};

}  // namespace inferneo::engine
