#include "base/cgroup.h"

#include <fstream>
#include <optional>
#include <sstream>

#include "base/str.h"

namespace inferneo {
namespace {

// A mounted hierarchy: its directory `base` of the file system shows the group `group`.
struct Mount {
  std::string base;
  std::string group;
};

// Whether `word` is an element of the comma-separated `list`.
bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

// The hierarchy that has `controller`; version 2 when that is empty.
// Line: id parent device root mount-point options [tags ...] - type source super-options
std::optional<Mount> find_mount(const std::string& root, std::string_view controller) {
  std::ifstream in(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash));
    std::istringstream tail(line.substr(dash + 3));
    std::string skipped;
    std::string type;
    std::string options;
    Mount mount;
    head >> skipped >> skipped >> skipped >> mount.group >> mount.base;
    tail >> type >> skipped >> options;
    const bool found =
        controller.empty() ? type == "cgroup2" : type == "cgroup" && lists(options, controller);
    if (found && !mount.base.empty()) return mount;
  }
  return std::nullopt;
}

// The group of this process in that hierarchy. Line: id:controllers:path
std::optional<std::string> find_group(const std::string& root, std::string_view controller) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    const bool found = controller.empty() ? line.starts_with("0:") && controllers.empty()
                                          : lists(controllers, controller);
    if (found) return line.substr(second + 1);
  }
  return std::nullopt;
}

void append_hierarchy(const std::string& root,
                      std::string_view controller,
                      std::vector<std::string>& directories) {
  const std::optional<Mount> mount = find_mount(root, controller);
  const std::optional<std::string> group = find_group(root, controller);
  if (!mount || !group) return;
  std::string path = *group;
  // A container sees its own group as the root of the mount, and sometimes not its name.
  if (mount->group != "/" && path.starts_with(mount->group)) path.erase(0, mount->group.size());
  if (path.find("/..") != std::string::npos) path.clear();
  while (path.size() > 1) {
    directories.push_back(str(root, mount->base, path));
    path.erase(path.rfind('/'));
  }
  directories.push_back(root + mount->base);
}

}  // namespace

std::vector<std::string> cgroup_directories(std::string_view controller, const std::string& root) {
  std::vector<std::string> directories;
  append_hierarchy(root, "", directories);
  append_hierarchy(root, controller, directories);
  return directories;
}

}  // namespace inferneo
