#include "device/limits.h"

#include <gtest/gtest.h>

namespace inferneo::device {
namespace {

TEST(Limits, are_rates_a_machine_can_have) {
  for (const int threads : {1, 2}) {
    for (const kernels::KernelTable* table : kernels::supported_tables()) {
      auto cpu = CpuDevice::create({.thread_count = threads, .isa = table->name});
      ASSERT_TRUE(cpu.has_value());
      const auto limits = measure_limits(
          **cpu, {.buffer_bytes = 1 << 24, .time_per_limit = std::chrono::milliseconds(10)});
      ASSERT_TRUE(limits.has_value());
      // Bound: the slowest machine under a sanitizer, and the fastest known with a margin.
      EXPECT_GT(limits->read_bytes_per_s, 1e7);
      EXPECT_LT(limits->read_bytes_per_s, 1e13);
      EXPECT_GT(limits->f32_flop_per_s, 1e6);
      EXPECT_LT(limits->f32_flop_per_s, 1e13);
      EXPECT_GT(limits->bf16_flop_per_s, 1e6);
      EXPECT_LT(limits->bf16_flop_per_s, 1e14);
      if (table->spin_bf16_loaded != nullptr) {
        EXPECT_GT(limits->bf16_loaded_flop_per_s, 1e6);
        EXPECT_LT(limits->bf16_loaded_flop_per_s, 1e14);
      } else {
        EXPECT_EQ(limits->bf16_loaded_flop_per_s, 0);
      }
      if (table->spin_bf16_dot != nullptr) {
        EXPECT_GT(limits->bf16_dot_flop_per_s, 1e6);
        EXPECT_LT(limits->bf16_dot_flop_per_s, 1e13);
      } else {
        EXPECT_EQ(limits->bf16_dot_flop_per_s, 0);
      }
      EXPECT_GT(limits->empty_section_s, 0);
      EXPECT_LT(limits->empty_section_s, 0.1);
    }
  }
}

TEST(Limits, refuse_a_buffer_that_does_not_fit) {
  auto cpu = CpuDevice::create({.thread_count = 1, .isa = ""});
  ASSERT_TRUE(cpu.has_value());
  const auto limits = measure_limits(**cpu, {.buffer_bytes = std::size_t{1} << 60});
  ASSERT_FALSE(limits.has_value());
  EXPECT_EQ(limits.error().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace inferneo::device
