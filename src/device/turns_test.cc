#include "device/turns.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace inferneo::device {
namespace {

TEST(Turns, one_thread_has_the_turn_at_a_time) {
  Turns turns;
  int counter = 0;  // guarded by the turn; ThreadSanitizer checks that too
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < 4; ++id) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          turns.begin();
          turns.begin();
          ++counter;
          turns.end();
          ++counter;
          turns.end();
        }
      });
    }
  }
  EXPECT_EQ(counter, 8000);
}

TEST(Turns, a_turn_that_begins_again_at_once_lets_a_waiting_thread_go_first) {
  Turns turns;
  std::atomic<bool> about_to_wait{false};
  std::atomic<bool> served{false};
  turns.begin();
  std::jthread other([&] {
    about_to_wait = true;
    turns.begin();
    served = true;
    turns.end();
  });
  while (!about_to_wait) std::this_thread::yield();
  // The other thread draws its number within a few of these turns, and then comes next.
  int turns_taken = 0;
  while (!served && turns_taken < 100'000'000) {
    turns.end();
    turns.begin();
    ++turns_taken;
  }
  EXPECT_TRUE(served);
  turns.end();
}

TEST(Turns, a_long_turn_lets_others_in_between_sections) {
  Turns turns;
  std::atomic<bool> served{false};
  turns.begin();
  std::jthread other([&] {
    turns.begin();
    served = true;
    turns.end();
  });
  // Sections of one step: the turn never ends, but the other thread is served on the way.
  const TimePoint limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!served && std::chrono::steady_clock::now() < limit) {
    turns.begin();
    turns.end();
  }
  EXPECT_TRUE(served);
  turns.end();
}

TEST(Turns, a_turn_within_its_slice_is_not_interrupted) {
  Turns turns;
  turns.begin();
  std::atomic<bool> served{false};
  std::jthread other([&] {
    turns.begin();
    served = true;
    turns.end();
  });
  const TimePoint start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < Turns::kSlice / 4) {
    turns.begin();
    const bool early = served && std::chrono::steady_clock::now() - start < Turns::kSlice / 2;
    EXPECT_FALSE(early);
    turns.end();
  }
  turns.end();
}

}  // namespace
}  // namespace inferneo::device
