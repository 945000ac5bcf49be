// Whose turn it is: several engine threads share one team, and only one of them uses it at a time.
// A turn lasts as long as its holder wants it (a step), but a holder that others wait for gives it
// up between two sections once it had it for a time slice, so that a long prefill of one model does
// not hold up the tokens of another.
// First come, first served: a plain mutex would let the thread that has just unlocked it in again.
// Thread: any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace inferneo::device {

class Turns {
 public:
  // Bound: changing hands costs some 50 us; a token of a small model takes a few milliseconds.
  static constexpr std::chrono::milliseconds kSlice{2};

  // Waits for the turn. The holder may begin again, and then lets others in first when its slice is
  // used up and they wait; it must end as often as it began.
  void begin();
  void end();

 private:
  void wait_for_turn();
  void pass_on();

  std::atomic<std::thread::id> holder_{};
  // Of the holder.
  int depth_ = 0;
  TimePoint since_{};

  std::atomic<int> waiting_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_: the next number to draw, and the one whose turn it is.
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ = 0;
};

}  // namespace inferneo::device
