// Which models leave memory first: a pure decision.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"

namespace inferneo::manager {

enum class EvictionOrder : std::uint8_t {
  kCost,  // least to lose for each byte won: reload seconds x popularity / bytes
  kLru,   // least recently used
};

struct EvictionCandidate {
  std::uint32_t id = 0;
  std::uint64_t bytes = 0;    // won by evicting it
  double reload_seconds = 0;  // measured at its last load
  double popularity = 0;      // requests, older ones counting less (see Popularity)
  TimePoint last_used{};
};

// Those to evict, in that order, so that at least `bytes` are won and at least `count` leave; empty
// when all together do not suffice. None is evicted without need: what a later, larger one makes
// superfluous stays.
std::vector<std::uint32_t> choose_evictions(std::vector<EvictionCandidate> candidates,
                                            std::uint64_t bytes,
                                            std::size_t count,
                                            EvictionOrder order);

// A count of requests that halves every kHalfLife, so that what was popular yesterday leaves.
class Popularity {
 public:
  // Why ten minutes: longer than the pauses of a conversation, shorter than a working day.
  static constexpr Duration kHalfLife = std::chrono::minutes(10);

  // `request_count` has grown to this.
  void note(std::uint64_t request_count, TimePoint now);
  [[nodiscard]] double at(TimePoint now) const;

 private:
  double value_ = 0;
  std::uint64_t seen_ = 0;
  TimePoint at_{};
};

}  // namespace inferneo::manager
