#include "device/processors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/str.h"

namespace inferneo::device {
namespace {

using testing::ElementsAre;

class ProcessorsTest : public testing::Test {
 protected:
  ProcessorsTest() : root_(testing::TempDir() + "/processors_test_" + std::to_string(::getpid())) {}
  ~ProcessorsTest() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void siblings(const std::string& list, std::initializer_list<int> processors) const {
    for (const int i : processors) {
      write(str("/sys/devices/system/cpu/cpu", i, "/topology/core_cpus_list"), list + "\n");
    }
  }
  void version_2() const {
    write("/proc/self/cgroup", "0::/pod/box\n");
    write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  }
  [[nodiscard]] Processors find(std::vector<int> allowed) const {
    return find_processors({.root = root_, .allowed = std::move(allowed)});
  }
  std::string root_;
};

TEST_F(ProcessorsTest, siblings_of_a_core_make_one_thread) {
  siblings("0,4", {0, 4});
  siblings("1,5", {1, 5});
  siblings("2,6", {2, 6});
  const Processors processors = find({0, 1, 2, 4, 5});
  EXPECT_THAT(processors.cores, ElementsAre(ElementsAre(0, 4), ElementsAre(1, 5), ElementsAre(2)));
  EXPECT_EQ(processors.processor_count(), 5);
  EXPECT_EQ(default_thread_count(processors), 3);
  EXPECT_THAT(placement_order(processors), ElementsAre(0, 1, 2, 4, 5));
}

TEST_F(ProcessorsTest, older_kernels_name_the_siblings_otherwise) {
  for (const int i : {0, 1}) {
    write(str("/sys/devices/system/cpu/cpu", i, "/topology/thread_siblings_list"), "0-1\n");
  }
  EXPECT_THAT(find({1, 0}).cores, ElementsAre(ElementsAre(0, 1)));
}

TEST_F(ProcessorsTest, processors_of_unknown_cores_count_each) {
  const Processors processors = find({3, 7});
  EXPECT_THAT(processors.cores, ElementsAre(ElementsAre(3), ElementsAre(7)));
  EXPECT_EQ(processors.quota, 0);
  EXPECT_EQ(default_thread_count(processors), 2);
}

TEST_F(ProcessorsTest, the_tightest_quota_of_version_2_binds) {
  version_2();
  write("/sys/fs/cgroup/pod/box/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/pod/cpu.max", "250000 100000\n");
  write("/sys/fs/cgroup/cpu.max", "600000 100000\n");
  const Processors processors = find({0, 1, 2, 3});
  EXPECT_DOUBLE_EQ(processors.quota, 2.5);
  EXPECT_EQ(default_thread_count(processors), 3);
}

TEST_F(ProcessorsTest, a_quota_below_one_processor_leaves_one_thread) {
  version_2();
  write("/sys/fs/cgroup/pod/box/cpu.max", "50000 100000\n");
  EXPECT_EQ(default_thread_count(find({0, 1})), 1);
}

TEST_F(ProcessorsTest, a_quota_above_the_cores_does_not_bind) {
  version_2();
  write("/sys/fs/cgroup/cpu.max", "800000 100000\n");
  EXPECT_EQ(default_thread_count(find({0, 1})), 2);
}

TEST_F(ProcessorsTest, the_quota_of_version_1_is_read) {
  write("/proc/self/cgroup", "1:cpu,cpuacct:/box\n");
  write("/proc/self/mountinfo", "31 23 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("/cg/cpu/box/cpu.cfs_quota_us", "150000\n");
  write("/cg/cpu/box/cpu.cfs_period_us", "100000\n");
  write("/cg/cpu/cpu.cfs_quota_us", "-1\n");
  write("/cg/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(find({0, 1, 2}).quota, 1.5);
}

TEST_F(ProcessorsTest, broken_quotas_do_not_limit) {
  version_2();
  for (const char* text : {"", "max", "-1 100000", "100000 0", "0 0", "many 3", "1e999 1"}) {
    write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(default_thread_count(find({0, 1})), 2) << text;
  }
}

TEST(Processors, of_this_machine_are_those_of_the_affinity_mask) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  ASSERT_EQ(sched_getaffinity(0, sizeof(mask), &mask), 0);
  const Processors all = find_processors();
  EXPECT_EQ(all.processor_count(), CPU_COUNT(&mask));
  for (const int i : placement_order(all))
    EXPECT_TRUE(CPU_ISSET(static_cast<std::size_t>(i), &mask));

  cpu_set_t one;
  CPU_ZERO(&one);
  const int last = placement_order(all).back();
  CPU_SET(static_cast<std::size_t>(last), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_THAT(find_processors().cores, ElementsAre(ElementsAre(last)));
  EXPECT_EQ(default_thread_count(find_processors()), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof(mask), &mask), 0);
}

}  // namespace
}  // namespace inferneo::device
