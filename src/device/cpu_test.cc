#include "device/cpu.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace inferneo::device {
namespace {

std::unique_ptr<CpuDevice> make(int thread_count) {
  auto device = CpuDevice::create({.thread_count = thread_count, .isa = ""});
  EXPECT_TRUE(device.has_value());
  return std::move(device).value();
}

TEST(CpuDevice, covers_every_item_once) {
  for (const int threads : {1, 2, 3, 5}) {
    const auto cpu = make(threads);
    EXPECT_EQ(cpu->thread_count(), threads);
    for (const std::int64_t grain : {1, 3, 16}) {
      for (const std::int64_t count : {0, 1, 2, 15, 16, 17, 100, 1001}) {
        std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
        auto body = [&](std::int64_t begin, std::int64_t end, int worker) {
          EXPECT_LT(begin, end);
          EXPECT_GE(worker, 0);
          EXPECT_LT(worker, threads);
          EXPECT_EQ(begin % grain, 0);
          EXPECT_TRUE(end % grain == 0 || end == count);
          for (std::int64_t i = begin; i < end; ++i) hits[static_cast<std::size_t>(i)]++;
        };
        cpu->parallel_for(count, grain, body);
        for (const auto& hit : hits) EXPECT_EQ(hit.load(), 1);
      }
    }
  }
}

TEST(CpuDevice, counts_beyond_32_bits_are_covered) {
  const auto cpu = make(2);
  const std::int64_t count = (std::int64_t{1} << 40) + 7;
  std::atomic<std::int64_t> sum{0};
  auto body = [&](std::int64_t begin, std::int64_t end, int) { sum += end - begin; };
  cpu->parallel_for(count, 1, body);
  EXPECT_EQ(sum.load(), count);
}

TEST(CpuDevice, results_of_a_section_are_visible_to_the_caller_and_the_next_section) {
  const auto cpu = make(4);
  std::vector<std::int64_t> values(4096, 0);
  for (int round = 0; round < 2000; ++round) {
    auto increment = [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) values[static_cast<std::size_t>(i)] += 1;
    };
    cpu->parallel_for(4096, 64, increment);
    EXPECT_EQ(values[static_cast<std::size_t>(round % 4096)], round + 1);
  }
  for (const std::int64_t value : values) EXPECT_EQ(value, 2000);
}

TEST(CpuDevice, sections_of_several_callers_take_turns) {
  const auto cpu = make(3);
  std::atomic<int> inside{0};  // items that run at the same moment for a caller not in its turn
  std::atomic<int> owner{-1};
  std::atomic<int> violations{0};
  auto caller = [&](int id) {
    for (int round = 0; round < 500; ++round) {
      auto body = [&](std::int64_t, std::int64_t, int) {
        int expected = -1;
        if (!owner.compare_exchange_strong(expected, id) && expected != id) violations++;
        inside++;
        std::this_thread::yield();
        if (inside.fetch_sub(1) == 1) owner = -1;
      };
      cpu->parallel_for(3, 1, body);
    }
  };
  {
    std::vector<std::jthread> callers;
    for (int id = 0; id < 3; ++id) callers.emplace_back(caller, id);
  }
  EXPECT_EQ(inside.load(), 0);
  EXPECT_EQ(violations.load(), 0);
}

TEST(CpuDevice, workers_that_parked_wake_up) {
  const auto cpu = make(2);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> arrived{0};
    // Each item stays for a while, so that the worker has time to come and take one; when it comes
    // too late there is a next section.
    auto body = [&](std::int64_t, std::int64_t, int) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
      arrived++;
      while (arrived.load() < 2 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    };
    do {
      arrived = 0;
      cpu->parallel_for(2, 1, body);
    } while (arrived.load() < 2 && std::chrono::steady_clock::now() < give_up);
    EXPECT_EQ(arrived.load(), 2);
  }
}

TEST(CpuDevice, takes_the_table_it_is_asked_for) {
  for (const kernels::KernelTable* table : kernels::supported_tables()) {
    auto cpu = CpuDevice::create({.thread_count = 1, .isa = table->name});
    ASSERT_TRUE(cpu.has_value());
    EXPECT_EQ(&cpu.value()->kernels(), table);
  }
}

TEST(CpuDevice, names_the_tables_when_asked_for_an_unknown_one) {
  auto cpu = CpuDevice::create({.thread_count = 1, .isa = "sse9"});
  ASSERT_FALSE(cpu.has_value());
  EXPECT_EQ(cpu.error().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(cpu.error().to_string().find("sse9"), std::string::npos);
  EXPECT_NE(cpu.error().to_string().find("reference"), std::string::npos);
}

TEST(CpuDevice, refuses_thread_counts_out_of_range) {
  for (const int threads : {-1, 257, 1000000}) {
    auto cpu = CpuDevice::create({.thread_count = threads, .isa = ""});
    ASSERT_FALSE(cpu.has_value());
    EXPECT_EQ(cpu.error().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(cpu.error().message().find(std::to_string(threads)), std::string::npos);
  }
}

}  // namespace
}  // namespace inferneo::device
