#include "manager/memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/limits.h"

namespace inferneo::manager {
namespace {

constexpr std::uint64_t kMib = 1024ULL * 1024;
constexpr std::uint64_t kGib = 1024 * kMib;

// A machine described by files in a fresh directory.
class FakeMachine : public ::testing::Test {
 protected:
  FakeMachine()
      : root_(std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(root_);
    sources_.meminfo = (root_ / "meminfo").string();
    sources_.self_cgroup = (root_ / "self_cgroup").string();
    sources_.cgroup_root = (root_ / "cgroup").string();
  }
  ~FakeMachine() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  [[nodiscard]] std::uint64_t available() const { return available_memory_bytes(sources_); }

  std::filesystem::path root_;
  MemorySources sources_;
};

TEST_F(FakeMachine, machine_alone_decides_without_groups) {
  write("meminfo", "MemTotal:  4096 kB\nMemFree: 7 kB\nMemAvailable:    2048 kB\nBuffers: 1 kB\n");
  EXPECT_EQ(available(), 2048 * 1024);
}

TEST_F(FakeMachine, version_2_group_limits_and_its_cache_counts_as_free) {
  write("meminfo", "MemAvailable: 1048576 kB\n");
  write("self_cgroup", "0::/pod/box\n");
  write("cgroup/pod/box/memory.max", "1000000\n");
  write("cgroup/pod/box/memory.current", "700000\n");
  write("cgroup/pod/box/memory.stat", "anon 400000\ninactive_file 250000\n");
  EXPECT_EQ(available(), 550000U);
}

TEST_F(FakeMachine, smallest_parent_group_wins) {
  write("meminfo", "MemAvailable: 1048576 kB\n");
  write("self_cgroup", "0::/pod/box\n");
  write("cgroup/pod/box/memory.max", "max\n");
  write("cgroup/pod/box/memory.current", "700000\n");
  write("cgroup/pod/memory.max", "900000\n");
  write("cgroup/pod/memory.current", "800000\n");
  EXPECT_EQ(available(), 100000U);
}

TEST_F(FakeMachine, version_1_group_and_container_root) {
  write("meminfo", "MemAvailable: 1048576 kB\n");
  write("self_cgroup", "9:name=systemd:/x\n4:cpu,memory:/not/visible/inside\n");
  write("cgroup/memory/memory.limit_in_bytes", "5000\n");
  write("cgroup/memory/memory.usage_in_bytes", "6000\n");
  write("cgroup/memory/memory.stat", "total_inactive_file 3000\n");
  EXPECT_EQ(available(), 2000U);
}

TEST_F(FakeMachine, group_over_its_limit_leaves_nothing) {
  write("meminfo", "MemAvailable: 1048576 kB\n");
  write("self_cgroup", "0::/a\n");
  write("cgroup/a/memory.max", "100\n");
  write("cgroup/a/memory.current", "200\n");
  EXPECT_EQ(available(), 0U);
}

TEST(available_memory, this_machine_has_some) {
  EXPECT_GT(available_memory_bytes(), kMib);
  EXPECT_LT(available_memory_bytes(), 1024 * 1024 * kGib);
}

// The starter model's shape: 7 MiB of weights, 64 KiB per block.
runtime::MemoryPlan small_plan() {
  return {.weight_bytes = 7 * kMib,
          .weight_copy_bytes = 0,
          .kv_block_bytes = 64 * 1024,
          .workspace_bytes_per_token = 16 * 1024};
}

KvPoolRequest request_of(std::uint64_t available) {
  return {.available_bytes = available,
          .kv_bytes = 0,
          .context_tokens_max = 2048,
          .sequence_count_max = 64,
          .step_token_count_max = 512};
}

TEST(size_kv_pool, small_model_does_not_grab_gigabytes) {
  const auto pool = size_kv_pool(small_plan(), request_of(24 * kGib));
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->block_count, 4096);  // 256 MiB
  EXPECT_EQ(pool->context_tokens_max, 2048);
}

TEST(size_kv_pool, never_exceeds_what_the_running_set_can_use) {
  KvPoolRequest request = request_of(24 * kGib);
  request.sequence_count_max = 2;
  const auto pool = size_kv_pool(small_plan(), request);
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->block_count, 2 * 128);
  request.kv_bytes = 8 * kGib;
  EXPECT_EQ(size_kv_pool(small_plan(), request)->block_count, 2 * 128);
}

// Layers with a window take no more than a full running set uses, and leave the rest to the others.
TEST(size_kv_pool, windows_have_a_pool_of_their_own) {
  runtime::MemoryPlan plan = small_plan();
  plan.kv_block_bytes = plan.kv_window_block_bytes = 32 * 1024;
  plan.kv_window_reach = 127;
  KvPoolRequest request = request_of(24 * kGib);
  request.context_tokens_max = 16 * 1024;
  request.sequence_count_max = 2;
  request.kv_bytes = 16 * kMib;
  const auto pool = size_kv_pool(plan, request);
  ASSERT_TRUE(pool.has_value());
  // Eleven for each sequence, and those of a step.
  EXPECT_EQ(pool->window_block_count, 2 * 11 + 32);
  EXPECT_EQ(pool->block_count, 512 - 54);
  EXPECT_EQ(pool->context_tokens_max, (512 - 54) * 16);
  // A pool that is smaller than that has as many of both.
  request.kv_bytes = 2 * kMib;
  EXPECT_EQ(size_kv_pool(plan, request)->block_count, 32);
  EXPECT_EQ(size_kv_pool(plan, request)->window_block_count, 32);
  // Where all layers have a window, a whole context fits into little.
  plan.kv_block_bytes = 0;
  const auto windows = size_kv_pool(plan, request);
  ASSERT_TRUE(windows.has_value());
  EXPECT_EQ(windows->context_tokens_max, 16 * 1024);
  EXPECT_EQ(windows->window_block_count, 54);
}

TEST(size_kv_pool, leaves_half_of_free_memory) {
  const auto pool = size_kv_pool(small_plan(), request_of(115 * kMib));
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->block_count, 50 * 16);  // (115 - 7 - 8) / 2 MiB in blocks of 64 KiB
}

TEST(size_kv_pool, shortens_the_context_before_it_gives_up) {
  const auto pool = size_kv_pool(small_plan(), request_of(21 * kMib));
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->block_count, 3 * 16);
  EXPECT_EQ(pool->context_tokens_max, 3 * 16 * 16);
}

TEST(size_kv_pool, large_model_gets_one_whole_context_at_least) {
  runtime::MemoryPlan plan = small_plan();
  plan.kv_block_bytes = 4 * kMib;
  const auto pool = size_kv_pool(plan, request_of(4 * kGib));
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->block_count, 128);
}

TEST(size_kv_pool, configured_size_is_kept) {
  KvPoolRequest request = request_of(24 * kGib);
  request.kv_bytes = 10 * kMib;
  EXPECT_EQ(size_kv_pool(small_plan(), request)->block_count, 160);
}

TEST(size_kv_pool, refusal_names_needed_and_available) {
  const auto pool = size_kv_pool(small_plan(), request_of(12 * kMib));
  ASSERT_FALSE(pool.has_value());
  EXPECT_EQ(pool.error().code(), StatusCode::kResourceExhausted);
  EXPECT_NE(pool.error().message().find("weights 7.0 MiB, KV cache 1.0 MiB and workspace 8.0 MiB "
                                        "need 16.0 MiB, but 12.0 MiB are available"),
            std::string::npos)
      << pool.error().message();
  EXPECT_FALSE(pool.error().hint().empty());
}

TEST(size_kv_pool, huge_sizes_do_not_wrap) {
  KvPoolRequest request = request_of(24 * kGib);
  request.kv_bytes = ~0ULL;
  EXPECT_EQ(size_kv_pool(small_plan(), request).error().code(), StatusCode::kResourceExhausted);
  runtime::MemoryPlan plan = small_plan();
  plan.weight_bytes = ~0ULL - 5;
  EXPECT_EQ(check_memory(plan, request_of(24 * kGib)).code(), StatusCode::kResourceExhausted);
}

TEST(size_kv_pool, pool_too_small_for_anything_is_refused) {
  KvPoolRequest request = request_of(24 * kGib);
  request.kv_bytes = 64 * 1024;
  EXPECT_EQ(size_kv_pool(small_plan(), request).error().code(), StatusCode::kResourceExhausted);
}

TEST(format_bytes, picks_the_unit) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(24 * kGib), "24.0 GiB");
}

}  // namespace
}  // namespace inferneo::manager
