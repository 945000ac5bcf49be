// A world of models, requests and an operator around the real state machine of their lifecycle: one
// seed decides sizes, budgets, arrivals, failures and delays; invariants are checked after each
// step, and at the end everything that was begun has ended.
// Thread: one.
#pragma once

#include <cstdint>
#include <string>

namespace inferneo::sim {

struct LifecycleResult {
  std::string failure;  // the first broken invariant; empty when all held
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  std::uint64_t granted = 0;
  std::uint64_t refused = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t loads = 0;
  std::uint64_t failed_loads = 0;
  std::uint64_t evictions = 0;
  std::uint64_t busy_evictions = 0;  // of models with requests on them
  std::uint64_t shrunk = 0;
  std::uint64_t grown = 0;
  std::uint64_t resized = 0;  // pools, while their models served
  std::uint64_t busy_resized = 0;
  std::uint64_t swaps = 0;
  std::uint64_t failed_swaps = 0;
  std::uint64_t drained_first = 0;
  std::uint64_t idle_unloads = 0;
  std::uint64_t slept = 0;
  std::uint64_t removed = 0;
  std::uint64_t no_room = 0;

  LifecycleResult& operator+=(const LifecycleResult& other);
};

LifecycleResult simulate_lifecycle(std::uint64_t seed);

}  // namespace inferneo::sim
