// Thousands of seeds of the lifecycle simulator. INFERNEO_SIM_SEEDS sets how many,
// INFERNEO_SIM_SEED runs a single one.
#include <gtest/gtest.h>

#include <cstdlib>

#include "lifecycle_simulator.h"

namespace inferneo::sim {
namespace {

// Why fewer under sanitizers: a run there takes about ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeedCount = 1'000;
#else
constexpr std::uint64_t kSeedCount = 10'000;
#endif

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

TEST(LifecycleSimulation, invariants_hold_under_all_seeds) {
  const std::uint64_t only = from_environment("INFERNEO_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t count = only != 0 ? 1 : from_environment("INFERNEO_SIM_SEEDS", kSeedCount);
  LifecycleResult sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const LifecycleResult result = simulate_lifecycle(seed);
    ASSERT_EQ(result.failure, "") << "replay with INFERNEO_SIM_SEED=" << seed;
    sum += result;
  }
  const auto show = [](const char* name, std::uint64_t value) {
    std::printf("%s %llu ", name, static_cast<unsigned long long>(value));
  };
  show("steps", sum.steps);
  show("granted", sum.granted);
  show("refused", sum.refused);
  show("abandoned", sum.abandoned);
  show("loads", sum.loads);
  show("failed", sum.failed_loads);
  show("evictions", sum.evictions);
  show("busy_evictions", sum.busy_evictions);
  show("shrunk", sum.shrunk);
  show("grown", sum.grown);
  show("resized", sum.resized);
  show("busy_resized", sum.busy_resized);
  show("swaps", sum.swaps);
  show("failed_swaps", sum.failed_swaps);
  show("drained_first", sum.drained_first);
  show("idle", sum.idle_unloads);
  show("slept", sum.slept);
  show("removed", sum.removed);
  show("no_room", sum.no_room);
  std::printf("\n");
  if (count < 500) return;
  // A simulator that never meets the hard cases proves nothing.
  EXPECT_GT(sum.granted, count * 10);
  EXPECT_GT(sum.refused, count);
  EXPECT_GT(sum.abandoned, count / 4);
  EXPECT_GT(sum.failed_loads, count / 2);
  EXPECT_GT(sum.evictions, count);
  EXPECT_GT(sum.busy_evictions, count / 20);
  EXPECT_GT(sum.shrunk, count / 20);
  EXPECT_GT(sum.grown, count / 100);
  EXPECT_GT(sum.busy_resized, count / 20);
  EXPECT_GT(sum.swaps, count / 4);
  EXPECT_GT(sum.failed_swaps, count / 50);
  EXPECT_GT(sum.drained_first, count / 100);
  EXPECT_GT(sum.idle_unloads, count / 4);
  EXPECT_GT(sum.slept, count / 10);
  EXPECT_GT(sum.removed, count / 10);
  EXPECT_GT(sum.no_room, count / 50);
}

TEST(LifecycleSimulation, the_same_seed_gives_the_same_trace) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(simulate_lifecycle(seed).trace_hash, simulate_lifecycle(seed).trace_hash);
    EXPECT_NE(simulate_lifecycle(seed).trace_hash, simulate_lifecycle(seed + 1).trace_hash);
  }
}

}  // namespace
}  // namespace inferneo::sim
