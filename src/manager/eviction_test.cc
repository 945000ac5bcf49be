#include "manager/eviction.h"

#include <gtest/gtest.h>

namespace inferneo::manager {
namespace {

using Ids = std::vector<std::uint32_t>;

EvictionCandidate candidate(
    std::uint32_t id, std::uint64_t bytes, double reload_seconds, double popularity, int used_at) {
  return {.id = id,
          .bytes = bytes,
          .reload_seconds = reload_seconds,
          .popularity = popularity,
          .last_used = TimePoint(std::chrono::seconds(used_at))};
}

TEST(choose_evictions, cost_order_keeps_what_is_dear_to_reload_and_popular) {
  const std::vector<EvictionCandidate> all{candidate(1, 100, 10, 0, 9),
                                           candidate(2, 100, 1, 50, 8),
                                           candidate(3, 100, 1, 0, 7),
                                           candidate(4, 1000, 1, 0, 6)};
  EXPECT_EQ(choose_evictions(all, 100, 0, EvictionOrder::kCost), Ids{4});
  EXPECT_EQ(choose_evictions(all, 1100, 0, EvictionOrder::kCost), (Ids{4, 3}));
}

TEST(choose_evictions, lru_order_looks_at_time_alone) {
  const std::vector<EvictionCandidate> all{
      candidate(1, 100, 10, 9, 3), candidate(2, 100, 1, 0, 5), candidate(3, 100, 1, 0, 4)};
  EXPECT_EQ(choose_evictions(all, 200, 0, EvictionOrder::kLru), (Ids{1, 3}));
}

TEST(choose_evictions, spares_what_a_later_one_makes_superfluous) {
  const std::vector<EvictionCandidate> all{candidate(1, 10, 1, 0, 1), candidate(2, 100, 1, 0, 2)};
  EXPECT_EQ(choose_evictions(all, 100, 0, EvictionOrder::kLru), Ids{2});
  EXPECT_EQ(choose_evictions(all, 100, 2, EvictionOrder::kLru), (Ids{1, 2}));
}

TEST(choose_evictions, none_when_all_together_do_not_suffice) {
  const std::vector<EvictionCandidate> all{candidate(1, 10, 1, 0, 1)};
  EXPECT_TRUE(choose_evictions(all, 11, 0, EvictionOrder::kLru).empty());
  EXPECT_TRUE(choose_evictions(all, 1, 2, EvictionOrder::kLru).empty());
  EXPECT_TRUE(choose_evictions({}, 1, 0, EvictionOrder::kCost).empty());
}

TEST(Popularity, halves_with_time_and_counts_each_request_once) {
  Popularity popularity;
  const TimePoint start(std::chrono::hours(5));
  popularity.note(8, start);
  popularity.note(8, start);
  EXPECT_DOUBLE_EQ(popularity.at(start), 8);
  EXPECT_DOUBLE_EQ(popularity.at(start + Popularity::kHalfLife), 4);
  popularity.note(10, start + Popularity::kHalfLife);
  EXPECT_DOUBLE_EQ(popularity.at(start + Popularity::kHalfLife), 6);
}

}  // namespace
}  // namespace inferneo::manager
