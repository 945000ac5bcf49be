#include "device/payoff.h"

#include <gtest/gtest.h>

namespace inferneo::device {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A caller that runs sections back to back; each would take it 100 us alone.
class Sections {
 public:
  // Runs for `time`, sharing when that is recommended. Returns the share of the time that was
  // shared.
  double run(milliseconds time, microseconds shared_section, milliseconds stall, int stall_every) {
    const TimePoint end = now_ + time;
    std::chrono::nanoseconds shared{0};
    while (now_ < end) {
      if (!payoff_.worth_sharing(now_)) {
        now_ += kAlone;
        continue;
      }
      std::chrono::nanoseconds actual = shared_section;
      if (stall_every > 0 && ++section_ % stall_every == 0) actual += stall;
      now_ += actual;
      shared += actual;
      payoff_.record(kAlone, actual, now_);
    }
    return static_cast<double>(shared.count()) /
           static_cast<double>(std::chrono::nanoseconds(time).count());
  }

 private:
  static constexpr microseconds kAlone{100};
  Payoff payoff_;
  TimePoint now_{};
  int section_ = 0;
};

TEST(Payoff, two_idle_cores_always_share) {
  Sections sections;
  EXPECT_GE(sections.run(milliseconds(10000), microseconds(55), milliseconds(0), 0), 1);
}

TEST(Payoff, a_rare_hiccup_does_not_end_sharing) {
  Sections sections;
  EXPECT_GE(sections.run(milliseconds(10000), microseconds(55), milliseconds(4), 1000), 0.99);
}

TEST(Payoff, stalls_of_a_time_slice_leave_the_caller_alone) {
  Sections sections;
  // Shares for a slice of 3 ms, then waits for a slice of 3 ms.
  EXPECT_LT(sections.run(milliseconds(10000), microseconds(50), milliseconds(3), 60), 0.1);
}

TEST(Payoff, sections_that_gain_nothing_are_not_shared) {
  Sections sections;
  EXPECT_LT(sections.run(milliseconds(10000), microseconds(99), milliseconds(0), 0), 0.1);
}

TEST(Payoff, sharing_comes_back_within_a_second_of_the_end_of_the_stalls) {
  Sections sections;
  sections.run(milliseconds(10000), microseconds(50), milliseconds(3), 60);
  sections.run(Payoff::kRestMax, microseconds(55), milliseconds(0), 0);
  EXPECT_GE(sections.run(milliseconds(1000), microseconds(55), milliseconds(0), 0), 1);
}

}  // namespace
}  // namespace inferneo::device
