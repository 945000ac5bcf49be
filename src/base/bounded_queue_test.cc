#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace inferneo {
namespace {

TEST(BoundedQueue, refuses_when_full_and_leaves_the_value) {
  BoundedQueue<std::unique_ptr<int>> queue(2);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(queue.try_push(third));
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(**queue.try_pop(), 1);
  EXPECT_TRUE(queue.try_push(third));
  EXPECT_EQ(third, nullptr);
  EXPECT_EQ(**queue.try_pop(), 2);
  EXPECT_EQ(**queue.try_pop(), 3);
  EXPECT_FALSE(queue.try_pop().has_value());
}

TEST(BoundedQueue, wait_ends_empty_after_the_timeout) {
  BoundedQueue<int> queue(2);
  EXPECT_FALSE(queue.wait_pop_for(std::chrono::milliseconds(1)).has_value());
}

TEST(BoundedQueue, every_value_of_many_producers_arrives_once) {
  constexpr int kProducers = 3;
  constexpr int kConsumers = 2;
  constexpr int kPerProducer = 5000;
  BoundedQueue<int> queue(64);
  std::vector<std::vector<int>> received(kConsumers);
  {
    std::vector<std::jthread> threads;
    for (int p = 0; p < kProducers; ++p) {
      threads.emplace_back([&queue, p] {
        for (int i = 0; i < kPerProducer; ++i) {
          int value = p * kPerProducer + i;
          while (!queue.try_push(value)) std::this_thread::yield();
        }
      });
    }
    for (int c = 0; c < kConsumers; ++c) {
      threads.emplace_back([&queue, &received, c] {
        while (received[static_cast<std::size_t>(c)].size() <
               std::size_t{kProducers} * kPerProducer) {
          auto value = queue.wait_pop_for(std::chrono::milliseconds(200));
          if (!value) return;
          received[static_cast<std::size_t>(c)].push_back(*value);
        }
      });
    }
  }
  std::vector<bool> seen(std::size_t{kProducers} * kPerProducer);
  for (const auto& part : received) {
    for (const int value : part) {
      EXPECT_FALSE(seen[static_cast<std::size_t>(value)]);
      seen[static_cast<std::size_t>(value)] = true;
    }
  }
  for (const bool was_seen : seen) EXPECT_TRUE(was_seen);
}

}  // namespace
}  // namespace inferneo
