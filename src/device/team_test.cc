#include "device/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace inferneo::device {
namespace {

template <typename F>
void run(Team& team, std::int64_t item_count, std::int64_t grain, F& f, const NextRead& next = {}) {
  team.run(
      item_count,
      grain,
      [](void* context, std::int64_t begin, std::int64_t end, int worker) noexcept {
        (*static_cast<F*>(context))(begin, end, worker);
      },
      &f,
      next);
}

void spin_for(std::chrono::microseconds time) {
  const TimePoint end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

TEST(Team, counts_sections_that_have_work_for_more_than_one_thread) {
  Team team(2);
  auto nothing = [](std::int64_t, std::int64_t, int) {};
  run(team, 0, 1, nothing);
  run(team, 1, 1, nothing);
  run(team, 64, 64, nothing);
  EXPECT_EQ(team.section_count(), 0U);
  run(team, 65, 64, nothing);
  run(team, 2, 1, nothing);
  EXPECT_EQ(team.section_count(), 2U);

  Team alone(1);
  run(alone, 100, 1, nothing);
  EXPECT_EQ(alone.section_count(), 0U);
}

TEST(Team, workers_that_hold_up_the_caller_are_left_out_and_tried_again_later) {
  Team team(2);
  std::atomic<int> held_up{0};
  // The worker stands still in the middle of its share, as one that was preempted does.
  auto body = [&](std::int64_t begin, std::int64_t end, int worker) {
    if (worker == 0) {
      spin_for(std::chrono::microseconds(20) * (end - begin));
    } else {
      ++held_up;
      std::this_thread::sleep_for(std::chrono::milliseconds(6));
    }
  };
  const TimePoint give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (held_up == 0 && std::chrono::steady_clock::now() < give_up) run(team, 16, 1, body);
  const int before = held_up;
  ASSERT_GT(before, 0);
  // Alone these take 16 ms, less than the first rest.
  for (int round = 0; round < 50; ++round) run(team, 16, 1, body);
  EXPECT_LE(held_up - before, 4);
  const int after = held_up;
  while (held_up == after && std::chrono::steady_clock::now() < give_up) run(team, 16, 1, body);
  EXPECT_GT(held_up, after);
}

// Many small sections of changing size from several callers, with more threads than processors:
// what breaks first when a wake-up or a leave is lost.
TEST(Team, survives_many_sections_of_several_callers) {
  Team team(6);
  std::atomic<std::int64_t> expected{0};
  std::atomic<std::int64_t> done{0};
  auto caller = [&](unsigned seed) {
    std::minstd_rand random(seed);
    for (int step = 0; step < 150; ++step) {
      team.turns().begin();
      for (int section = 0; section < 10; ++section) {
        const auto items = static_cast<std::int64_t>(random() % 300);
        const auto grain = static_cast<std::int64_t>(1 + random() % 8);
        std::vector<std::uint8_t> hits(static_cast<std::size_t>(items), 0);
        auto body = [&](std::int64_t begin, std::int64_t end, int) {
          for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
          done += end - begin;
        };
        run(team, items, grain, body);
        expected += items;
        for (const std::uint8_t hit : hits) ASSERT_EQ(hit, 1);
      }
      team.turns().end();
      // Longer than the spin, so that workers park in between.
      if (random() % 16 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  };
  {
    std::vector<std::jthread> callers;
    for (unsigned id = 1; id <= 3; ++id) callers.emplace_back(caller, id);
  }
  EXPECT_EQ(done.load(), expected.load());
}

TEST(Team, what_is_read_next_is_only_a_hint) {
  Team team(2);
  const std::vector<std::byte> weights(4096);
  std::atomic<std::int64_t> sum{0};
  auto body = [&](std::int64_t begin, std::int64_t end, int) { sum += end - begin; };
  const NextRead hints[] = {
      {weights.data(), 64, 64, 1},
      {weights.data(), 64, 1, 1000},
      {reinterpret_cast<const std::byte*>(4096), 1 << 20, 1 << 20, 7},
      {},
  };
  for (int round = 0; round < 4000; ++round) {
    run(team, 100, 1, body, hints[round % 4]);
    run(team, 100, 1, body);
  }
  EXPECT_EQ(sum.load(), 800000);
}

TEST(Team, starts_and_stops_without_work) {
  for (int i = 0; i < 50; ++i) {
    const Team team(1 + i % 5);
    EXPECT_EQ(team.size(), 1 + i % 5);
  }
}

TEST(Team, runs_where_its_threads_are_pinned_to_one_processor) {
  const std::vector<int> first = {0, 0, 0};
  Team team(3, first);
  std::atomic<std::int64_t> sum{0};
  auto body = [&](std::int64_t begin, std::int64_t end, int) { sum += end - begin; };
  for (int round = 0; round < 300; ++round) run(team, 100, 1, body);
  EXPECT_EQ(sum.load(), 30000);
}

}  // namespace
}  // namespace inferneo::device
