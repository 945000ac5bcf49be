#include "base/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace inferneo {
namespace {

using testing::ElementsAre;

class CgroupTest : public testing::Test {
 protected:
  CgroupTest() : root_(testing::TempDir() + "/cgroup_test_" + std::to_string(::getpid())) {}
  ~CgroupTest() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  [[nodiscard]] std::vector<std::string> directories(const char* controller) const {
    std::vector<std::string> found = cgroup_directories(controller, root_);
    for (std::string& path : found) path.erase(0, root_.size());
    return found;
  }
  std::string root_;
};

TEST_F(CgroupTest, version_2_lists_all_groups_up_to_the_root) {
  write("/proc/self/cgroup", "0::/pod/box\n");
  write("/proc/self/mountinfo",
        "22 1 0:21 / /proc rw - proc proc rw\n"
        "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  EXPECT_THAT(directories("cpu"),
              ElementsAre("/sys/fs/cgroup/pod/box", "/sys/fs/cgroup/pod", "/sys/fs/cgroup"));
}

TEST_F(CgroupTest, version_1_is_found_by_its_controller) {
  write("/proc/self/cgroup", "4:memory:/m\n3:cpuset:/s\n2:cpu,cpuacct:/c\n0::/\n");
  write("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/set rw - cgroup cgroup rw,cpuset\n"
        "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  EXPECT_THAT(
      directories("cpu"),
      ElementsAre(
          "/sys/fs/cgroup/unified", "/sys/fs/cgroup/cpu,cpuacct/c", "/sys/fs/cgroup/cpu,cpuacct"));
}

TEST_F(CgroupTest, a_container_that_sees_its_group_as_the_root_of_the_mount) {
  write("/proc/self/cgroup", "5:cpu:/docker/abc/inner\n");
  write("/proc/self/mountinfo",
        "33 31 0:30 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
  EXPECT_THAT(directories("cpu"), ElementsAre("/sys/fs/cgroup/cpu/inner", "/sys/fs/cgroup/cpu"));
}

TEST_F(CgroupTest, a_group_outside_of_the_namespace_leaves_the_mount) {
  write("/proc/self/cgroup", "0::/../elsewhere\n");
  write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  EXPECT_THAT(directories("cpu"), ElementsAre("/sys/fs/cgroup"));
}

TEST_F(CgroupTest, missing_and_broken_files_give_nothing) {
  EXPECT_THAT(directories("cpu"), ElementsAre());
  write("/proc/self/cgroup", "cpu\n:\n::\n0:\n");
  write("/proc/self/mountinfo", "31\n - \n1 2 3 - cgroup2\n1 2 3 / - cgroup cgroup rw,cpu\n");
  EXPECT_THAT(directories("cpu"), ElementsAre());
}

}  // namespace
}  // namespace inferneo
