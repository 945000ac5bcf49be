// A clock that stands still until it is told to move: time for tests and the simulator.
// Thread: any.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace inferneo {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return TimePoint(Duration(nanoseconds_.load(std::memory_order_relaxed)));
  }
  void advance(Duration by) { nanoseconds_.fetch_add(by.count(), std::memory_order_relaxed); }

 private:
  // Why not zero: code that takes a default TimePoint for "now" shows itself.
  std::atomic<Duration::rep> nanoseconds_{1'000'000'000};
};

}  // namespace inferneo
