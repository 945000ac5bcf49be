// Where the kernel keeps the limits of the control groups this process is in.
// Spec: cgroups(7), proc_pid_mountinfo(5). Works for version 1, version 2 and both side by side.
// Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inferneo {

// Directories of the groups that `controller` ("cpu", "memory") limits this process by, its own
// first and the outermost that is visible last; for version 2 and then for version 1. A limit of
// any of them binds. `root` is put before every path, for tests. Empty when nothing can be read.
std::vector<std::string> cgroup_directories(std::string_view controller,
                                            const std::string& root = {});

}  // namespace inferneo
