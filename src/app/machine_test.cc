#include "app/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace inferneo::app {
namespace {

class MachineTest : public testing::Test {
 protected:
  MachineTest() : root_(testing::TempDir() + "/machine_test_" + std::to_string(::getpid())) {}
  ~MachineTest() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void version_2() const {
    write("/proc/self/cgroup", "0::/box\n");
    write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  }
  std::string root_;
};

TEST_F(MachineTest, the_files_of_the_kernel_are_read) {
  write("/proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Some CPU 9000\nflags\t\t: fpu avx2 avx512f sse fma\n\n"
        "processor\t: 1\nmodel name\t: Some CPU 9000\nflags\t\t: fpu avx2\n");
  write("/proc/meminfo",
        "MemTotal:  2048 kB\nMemFree:  1 kB\nMemAvailable:  1024 kB\n"
        "HugePages_Total:  4\nHugePages_Free:  3\nHugepagesize:  2048 kB\n");
  version_2();
  write("/sys/fs/cgroup/memory.max", "1048576\n");
  write("/sys/fs/cgroup/memory.current", "4096\n");
  write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  const Machine machine = inspect_machine({.root = root_, .allowed = {0, 1}});
  EXPECT_EQ(machine.cpu_model, "Some CPU 9000");
  EXPECT_THAT(machine.cpu_flags, testing::ElementsAre("avx2", "avx512f", "fma"));
  EXPECT_EQ(machine.memory_bytes, 2048U * 1024);
  EXPECT_EQ(machine.memory_available_bytes, 1024U * 1024);
  EXPECT_EQ(machine.cgroup_memory_bytes_max, 1048576U);
  EXPECT_EQ(machine.cgroup_memory_bytes_used, 4096U);
  EXPECT_EQ(machine.transparent_huge_pages, "madvise");
  EXPECT_EQ(machine.huge_page_bytes, 2048U * 1024);
  EXPECT_EQ(machine.huge_page_count, 4U);
  EXPECT_EQ(machine.huge_page_free_count, 3U);
}

TEST_F(MachineTest, processors_siblings_and_quota_are_those_of_the_process) {
  version_2();
  write("/sys/fs/cgroup/box/cpu.max", "150000 100000\n");
  write("/sys/devices/system/cpu/cpu0/topology/core_cpus_list", "0-1\n");
  write("/sys/devices/system/cpu/cpu1/topology/core_cpus_list", "0-1\n");
  const Machine machine = inspect_machine({.root = root_, .allowed = {0, 1}});
  EXPECT_EQ(machine.processors.core_count(), 1);
  EXPECT_EQ(machine.processors.processor_count(), 2);
  EXPECT_DOUBLE_EQ(machine.processors.quota, 1.5);
}

TEST_F(MachineTest, the_tightest_memory_limit_counts) {
  version_2();
  write("/sys/fs/cgroup/box/memory.max", "3000\n");
  write("/sys/fs/cgroup/box/memory.current", "1000\n");
  write("/sys/fs/cgroup/memory.max", "2000\n");
  write("/sys/fs/cgroup/memory.current", "1500\n");
  const Machine machine = inspect_machine({.root = root_, .allowed = {0}});
  EXPECT_EQ(machine.cgroup_memory_bytes_max, 2000U);
  EXPECT_EQ(machine.cgroup_memory_bytes_used, 1500U);
}

TEST(RangeText, joins_neighbours) {
  EXPECT_EQ(range_text({}), "");
  EXPECT_EQ(range_text({5}), "5");
  EXPECT_EQ(range_text({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
}

TEST_F(MachineTest, no_cgroup_limit_is_no_limit) {
  version_2();
  write("/sys/fs/cgroup/memory.max", "max\n");
  write("/sys/fs/cgroup/memory.current", "4096\n");
  EXPECT_FALSE(
      inspect_machine({.root = root_, .allowed = {0, 1}}).cgroup_memory_bytes_max.has_value());
  write("/proc/self/cgroup", "3:memory:/box\n");
  write("/proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup cgroup rw,memory\n");
  write("/cg/box/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(
      inspect_machine({.root = root_, .allowed = {0, 1}}).cgroup_memory_bytes_max.has_value());
}

TEST_F(MachineTest, missing_and_broken_files_are_not_fatal) {
  EXPECT_TRUE(inspect_machine({.root = root_, .allowed = {0, 1}}).cpu_model.empty());
  write("/proc/cpuinfo", ":\nmodel name\n: \nflags:");
  write("/proc/meminfo", "MemTotal: many kB\n");
  write("/sys/kernel/mm/transparent_hugepage/enabled", "]always[");
  const Machine machine = inspect_machine({.root = root_, .allowed = {0, 1}});
  EXPECT_EQ(machine.memory_bytes, 0U);
  EXPECT_EQ(machine.transparent_huge_pages, "");
  EXPECT_EQ(machine.processors.processor_count(), 2);
}

}  // namespace
}  // namespace inferneo::app
