// Whether it pays to share sections with the other threads of a team. On idle cores it always does.
// Where another process runs on one of them it may not: a worker that is preempted inside a section
// holds up all others for the length of a time slice, which costs more than it had contributed.
// Compares how long shared sections took with how long the caller alone would have needed, judged
// from the part that it did; when sharing does not pay, recommends to leave the workers parked for
// a while, and longer each time that trying again turns out badly.
// Thread: one at a time.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace inferneo::device {

class Payoff {
 public:
  using Duration = std::chrono::nanoseconds;

  // Sharing must save this part of the caller's time. Two idle cores save 40 to 50 %, a core that a
  // busy process holds half of the time 5 to 20 %.
  static constexpr double kSavingMin = 0.03;
  // Time of shared sections that a judgement looks back on: several time slices of a scheduler (1
  // to 4 ms), because a worker does well for one slice and stands still for the next.
  static constexpr std::chrono::milliseconds kMemory{20};
  static constexpr std::chrono::milliseconds kEvidenceMin{5};
  static constexpr std::chrono::milliseconds kRestMin{20};
  static constexpr std::chrono::milliseconds kRestMax{640};
  // Sharing that went well for so long ends the memory of earlier rests.
  static constexpr std::chrono::milliseconds kTrustAfter{100};

  [[nodiscard]] bool worth_sharing(TimePoint now) const { return now >= rest_until_; }

  // A shared section took `actual` and would have taken its caller alone `alone`.
  void record(Duration alone, Duration actual, TimePoint now);

 private:
  // Sums in seconds, older sections counting less.
  double alone_ = 0;
  double actual_ = 0;
  Duration good_time_{0};
  Duration rest_ = kRestMin;
  TimePoint rest_until_{};
};

}  // namespace inferneo::device
