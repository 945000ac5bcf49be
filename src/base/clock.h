// Time behind an interface, so that the simulator can own it.
// Thread: any.
#pragma once

#include <chrono>

namespace inferneo {

using Duration = std::chrono::nanoseconds;
// Monotonic; the epoch has no meaning.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return std::chrono::steady_clock::now(); }
};

inline double to_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace inferneo
