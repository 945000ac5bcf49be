// One simulated life of an engine under a seed: random requests against the real scheduler, cache
// and core, with a fake runtime, a virtual clock and a reader of the output that may be slow.
// The seed decides everything, so the same seed gives the same trace.
// After every step the state is compared with what must always hold; each token is compared with
// an oracle that knows nothing of batches, blocks or caches.
#pragma once

#include <cstdint>
#include <string>

namespace inferneo::sim {

struct SimulationResult {
  std::string failure;  // empty when everything held
  std::uint64_t trace_hash = 0;
  // What happened, so that a test can tell that the cases it is about did occur.
  std::uint64_t steps = 0;
  std::uint64_t tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t cache_hits = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t stopped = 0;
  std::uint64_t resized = 0;             // pools
  std::uint64_t resize_preemptions = 0;  // sequences that lost blocks by that
  std::uint64_t forks = 0;
  std::uint64_t ring_full = 0;
  std::uint64_t prefix_waits = 0;  // tokens found by those who waited for another to compute them
  // Of models with layers that see a window: how many there were, tokens found in the cache, and
  // states of tables after a step, in all and with blocks that were given back.
  std::uint64_t window_worlds = 0;
  std::uint64_t window_cache_hits = 0;
  std::uint64_t window_tables = 0;
  std::uint64_t retired_tables = 0;
  std::uint64_t paced_steps = 0;  // prompts were held back for the pace of running streams
};

SimulationResult simulate(std::uint64_t seed);

}  // namespace inferneo::sim
