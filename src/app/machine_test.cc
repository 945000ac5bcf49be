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
  std::string root_;
};

TEST_F(MachineTest, the_files_of_the_kernel_are_read) {
  write("/proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Some CPU 9000\nflags\t\t: fpu avx2 avx512f sse fma\n\n"
        "processor\t: 1\nmodel name\t: Some CPU 9000\nflags\t\t: fpu avx2\n");
  write("/proc/meminfo", "MemTotal:  2048 kB\nMemFree:  1 kB\nMemAvailable:  1024 kB\n");
  write("/sys/fs/cgroup/memory.max", "1048576\n");
  write("/sys/fs/cgroup/memory.current", "4096\n");
  write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  const Machine machine = inspect_machine(root_);
  EXPECT_EQ(machine.cpu_model, "Some CPU 9000");
  EXPECT_THAT(machine.cpu_flags, testing::ElementsAre("avx2", "avx512f", "fma"));
  EXPECT_EQ(machine.memory_bytes, 2048U * 1024);
  EXPECT_EQ(machine.memory_available_bytes, 1024U * 1024);
  EXPECT_EQ(machine.cgroup_memory_bytes_max, 1048576U);
  EXPECT_EQ(machine.cgroup_memory_bytes_used, 4096U);
  EXPECT_EQ(machine.transparent_huge_pages, "madvise");
}

TEST_F(MachineTest, no_cgroup_limit_is_no_limit) {
  write("/sys/fs/cgroup/memory.max", "max\n");
  write("/sys/fs/cgroup/memory.current", "4096\n");
  EXPECT_FALSE(inspect_machine(root_).cgroup_memory_bytes_max.has_value());
  write("/sys/fs/cgroup/memory.current", "");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(inspect_machine(root_).cgroup_memory_bytes_max.has_value());
}

TEST_F(MachineTest, missing_and_broken_files_are_not_fatal) {
  EXPECT_TRUE(inspect_machine(root_).cpu_model.empty());
  write("/proc/cpuinfo", ":\nmodel name\n: \nflags:");
  write("/proc/meminfo", "MemTotal: many kB\n");
  write("/sys/kernel/mm/transparent_hugepage/enabled", "]always[");
  const Machine machine = inspect_machine(root_);
  EXPECT_EQ(machine.memory_bytes, 0U);
  EXPECT_EQ(machine.transparent_huge_pages, "");
  EXPECT_GE(machine.cpus_usable, 1);
}

}  // namespace
}  // namespace inferneo::app
