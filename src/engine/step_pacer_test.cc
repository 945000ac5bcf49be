#include "engine/step_pacer.h"

#include <gtest/gtest.h>

#include <limits>

namespace inferneo::engine {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A machine whose steps take exactly a base and a cost per prompt token.
class Machine {
 public:
  Machine(Duration base, Duration token) : base_(base), token_(token) {}

  // Runs one step as the pacer wants it; returns its duration.
  Duration step(StepPacer& pacer, std::int32_t streams, std::int32_t prompts) {
    last_count = prompts == 0 ? 0 : pacer.prompt_token_count_max(streams, prompts);
    return step_of(pacer, streams, last_count);
  }
  Duration step_of(StepPacer& pacer, std::int32_t streams, std::int32_t tokens) {
    const Duration duration = base_ + token_ * tokens;
    pacer.observe(streams, tokens, duration);
    return duration;
  }

  std::int32_t last_count = 0;

 private:
  Duration base_;
  Duration token_;
};

constexpr std::int32_t kNoLimit = std::numeric_limits<std::int32_t>::max();

TEST(StepPacer, prompts_alone_have_no_limit) {
  StepPacer pacer(milliseconds(40));
  EXPECT_EQ(pacer.prompt_token_count_max(0, 5), kNoLimit);
  pacer.observe(0, 512, milliseconds(900));
  EXPECT_EQ(pacer.prompt_token_count_max(0, 5), kNoLimit);
}

TEST(StepPacer, a_target_of_zero_means_no_limit) {
  StepPacer pacer(Duration::zero());
  pacer.observe(3, 512, milliseconds(900));
  EXPECT_EQ(pacer.prompt_token_count_max(3, 1), kNoLimit);
}

TEST(StepPacer, begins_with_the_fewest_tokens_that_fill_tiles) {
  const StepPacer pacer(milliseconds(40));
  EXPECT_EQ(pacer.prompt_token_count_max(1, 1), 31);
  EXPECT_EQ(pacer.prompt_token_count_max(15, 1), 17);
  EXPECT_EQ(pacer.prompt_token_count_max(16, 1), 16);
}

TEST(StepPacer, steps_settle_just_below_the_target) {
  StepPacer pacer(milliseconds(40));
  Machine machine(milliseconds(10), microseconds(90));
  for (int i = 0; i < 20; ++i) machine.step(pacer, 4, 0);
  for (int i = 0; i < 60; ++i) machine.step(pacer, 4, 1);
  // (40 ms - 10 ms) / 0.09 ms = 333 tokens; with the streams, 336 rows are whole tiles.
  EXPECT_EQ(machine.last_count, 332);
}

TEST(StepPacer, no_step_on_the_way_exceeds_the_target) {
  StepPacer pacer(milliseconds(40));
  Machine machine(milliseconds(10), microseconds(300));
  machine.step_of(pacer, 0, 512);
  for (int i = 0; i < 5; ++i) machine.step(pacer, 1, 0);
  for (int i = 0; i < 100; ++i) EXPECT_LE(machine.step(pacer, 1, 1), milliseconds(40));
  EXPECT_EQ(machine.last_count, 95);
}

TEST(StepPacer, prompts_advance_however_slow_the_steps_are) {
  StepPacer pacer(milliseconds(40));
  Machine machine(milliseconds(10), milliseconds(50));
  for (int i = 0; i < 20; ++i) machine.step(pacer, 4, i % 2);
  EXPECT_EQ(machine.last_count, 28);
}

TEST(StepPacer, a_model_slower_than_the_target_gives_prompts_a_third_of_the_time) {
  StepPacer pacer(milliseconds(40));
  Machine machine(milliseconds(90), microseconds(500));
  for (int i = 0; i < 20; ++i) machine.step(pacer, 4, 0);
  for (int i = 0; i < 60; ++i) EXPECT_LE(machine.step(pacer, 4, 1), milliseconds(135));
  EXPECT_EQ(machine.last_count, 76);
}

TEST(StepPacer, several_prompts_get_longer_steps) {
  const StepPacer pacer(milliseconds(40));
  EXPECT_EQ(pacer.limit(4, 1), milliseconds(40));
  EXPECT_EQ(pacer.limit(4, 2), milliseconds(60));
  EXPECT_EQ(pacer.limit(4, 8), milliseconds(120));
  EXPECT_EQ(pacer.limit(1, 15), milliseconds(120));
}

TEST(StepPacer, one_slow_step_is_soon_forgotten) {
  StepPacer pacer(milliseconds(40));
  Machine machine(milliseconds(10), microseconds(100));
  for (int i = 0; i < 60; ++i) machine.step(pacer, 4, i % 2);
  const std::int32_t settled = machine.last_count;
  pacer.observe(4, settled, std::chrono::seconds(30));
  pacer.observe(4, 0, std::chrono::seconds(30));
  EXPECT_LT(pacer.prompt_token_count_max(4, 1), settled);
  for (int i = 0; i < 40; ++i) machine.step(pacer, 4, i % 2);
  EXPECT_GE(machine.last_count, settled - 16);
}

TEST(StepPacer, a_tiny_chunk_says_little_about_the_cost) {
  StepPacer pacer(milliseconds(40));
  Machine machine(milliseconds(10), microseconds(100));
  for (int i = 0; i < 60; ++i) machine.step(pacer, 4, i % 2);
  const std::int32_t settled = machine.last_count;
  pacer.observe(4, 1, milliseconds(11));
  machine.step_of(pacer, 4, 288);
  EXPECT_GE(pacer.prompt_token_count_max(4, 1), settled - 32);
}

TEST(StepPacer, a_clock_that_stands_still_does_no_harm) {
  StepPacer pacer(milliseconds(40));
  for (int i = 0; i < 10; ++i) pacer.observe(2, i % 2 == 0 ? 64 : 0, Duration::zero());
  EXPECT_EQ(pacer.prompt_token_count_max(2, 1), 126);
}

}  // namespace
}  // namespace inferneo::engine
