// Thousands of seeds of the engine simulator. INFERNEO_SIM_SEEDS sets how many,
// INFERNEO_SIM_SEED runs a single one.
#include <gtest/gtest.h>

#include <cstdlib>

#include "simulator.h"

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

void add(SimulationResult& sum, const SimulationResult& result) {
  sum.steps += result.steps;
  sum.tokens += result.tokens;
  sum.preemptions += result.preemptions;
  sum.cache_hits += result.cache_hits;
  sum.cancelled += result.cancelled;
  sum.expired += result.expired;
  sum.failed += result.failed;
  sum.refused += result.refused;
  sum.stopped += result.stopped;
  sum.forks += result.forks;
  sum.ring_full += result.ring_full;
  sum.prefix_waits += result.prefix_waits;
  sum.paced_steps += result.paced_steps;
  sum.resized += result.resized;
  sum.resize_preemptions += result.resize_preemptions;
  sum.window_worlds += result.window_worlds;
  sum.window_cache_hits += result.window_cache_hits;
  sum.window_tables += result.window_tables;
  sum.retired_tables += result.retired_tables;
}

TEST(EngineSimulation, invariants_hold_under_all_seeds) {
  const std::uint64_t only = from_environment("INFERNEO_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t count = only != 0 ? 1 : from_environment("INFERNEO_SIM_SEEDS", kSeedCount);
  SimulationResult sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const SimulationResult result = simulate(seed);
    ASSERT_EQ(result.failure, "") << "replay with INFERNEO_SIM_SEED=" << seed;
    add(sum, result);
  }
  RecordProperty("steps", std::to_string(sum.steps));
  RecordProperty("tokens", std::to_string(sum.tokens));
  std::printf(
      "steps %llu tokens %llu preemptions %llu cache_hits %llu cancelled %llu expired %llu "
      "failed %llu refused %llu stopped %llu forks %llu ring_full %llu paced %llu "
      "prefix_waits %llu window_worlds %llu window_hits %llu retired %llu of %llu resized %llu "
      "resize_preemptions %llu\n",
      static_cast<unsigned long long>(sum.steps),
      static_cast<unsigned long long>(sum.tokens),
      static_cast<unsigned long long>(sum.preemptions),
      static_cast<unsigned long long>(sum.cache_hits),
      static_cast<unsigned long long>(sum.cancelled),
      static_cast<unsigned long long>(sum.expired),
      static_cast<unsigned long long>(sum.failed),
      static_cast<unsigned long long>(sum.refused),
      static_cast<unsigned long long>(sum.stopped),
      static_cast<unsigned long long>(sum.forks),
      static_cast<unsigned long long>(sum.ring_full),
      static_cast<unsigned long long>(sum.paced_steps),
      static_cast<unsigned long long>(sum.prefix_waits),
      static_cast<unsigned long long>(sum.window_worlds),
      static_cast<unsigned long long>(sum.window_cache_hits),
      static_cast<unsigned long long>(sum.retired_tables),
      static_cast<unsigned long long>(sum.window_tables),
      static_cast<unsigned long long>(sum.resized),
      static_cast<unsigned long long>(sum.resize_preemptions));
  if (count < 500) return;
  // A simulator that never meets the hard cases proves nothing.
  EXPECT_GT(sum.preemptions, count / 2);
  EXPECT_GT(sum.cache_hits, count);
  EXPECT_GT(sum.cancelled, count / 10);
  EXPECT_GT(sum.expired, count / 20);
  EXPECT_GT(sum.failed, count / 20);
  EXPECT_GT(sum.refused, count / 10);
  EXPECT_GT(sum.stopped, count / 10);
  EXPECT_GT(sum.forks, count / 10);
  EXPECT_GT(sum.ring_full, count / 10);
  EXPECT_GT(sum.paced_steps, count / 10);
  EXPECT_GT(sum.prefix_waits, count);
  EXPECT_GT(sum.resize_preemptions, count / 10);
  EXPECT_GT(sum.window_worlds, count / 4);
  EXPECT_GT(sum.window_cache_hits, count);
  EXPECT_GT(sum.retired_tables, sum.window_tables / 10);
}

TEST(EngineSimulation, the_same_seed_gives_the_same_trace) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SimulationResult first = simulate(seed);
    const SimulationResult second = simulate(seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_NE(first.trace_hash, simulate(seed + 1).trace_hash);
  }
}

}  // namespace
}  // namespace inferneo::sim
