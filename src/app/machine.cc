#include "app/machine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "base/cgroup.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream in(path);
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// The flags that decide which kernel table runs.
bool matters(std::string_view flag) {
  return flag.starts_with("avx") || flag.starts_with("amx") || flag == "fma" || flag == "f16c" ||
         flag == "asimd" || flag == "asimddp" || flag == "bf16" || flag == "i8mm" || flag == "sve";
}

void read_cpu(const std::string& root, Machine& machine) {
  std::ifstream in(root + "/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
    if (key == "model name" && machine.cpu_model.empty()) machine.cpu_model = value;
    if ((key == "flags" || key == "Features") && machine.cpu_flags.empty()) {
      std::istringstream words(value);
      std::copy_if(std::istream_iterator<std::string>(words),
                   {},
                   std::back_inserter(machine.cpu_flags),
                   matters);
    }
  }
}

void read_memory(const std::string& root, Machine& machine) {
  std::ifstream in(root + "/proc/meminfo");
  for (std::string key, rest; in >> key; std::getline(in, rest)) {
    std::uint64_t value = 0;
    if (!(in >> value)) break;
    if (key == "MemTotal:") machine.memory_bytes = value * 1024;
    if (key == "MemAvailable:") machine.memory_available_bytes = value * 1024;
    if (key == "Hugepagesize:") machine.huge_page_bytes = value * 1024;
    if (key == "HugePages_Total:") machine.huge_page_count = value;
    if (key == "HugePages_Free:") machine.huge_page_free_count = value;
  }
}

void read_cgroup(const std::string& root, Machine& machine) {
  // Version 1 writes a huge number for "no limit".
  constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;
  for (const std::string& directory : cgroup_directories("memory", root)) {
    auto limit = number_in(directory + "/memory.max");
    auto used = number_in(directory + "/memory.current");
    if (!limit) {
      limit = number_in(directory + "/memory.limit_in_bytes");
      used = number_in(directory + "/memory.usage_in_bytes");
    }
    if (!limit || *limit > kNoLimit) continue;
    if (!machine.cgroup_memory_bytes_max || *limit < *machine.cgroup_memory_bytes_max) {
      machine.cgroup_memory_bytes_max = limit;
      machine.cgroup_memory_bytes_used = used;
    }
  }
}

void read_limits(Machine& machine) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    machine.locked_memory_bytes_max = limit.rlim_cur;
  }
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) machine.open_files_max = limit.rlim_cur;
}

}  // namespace

std::string chosen_word(const std::string& text) {
  const std::size_t begin = text.find('[');
  const std::size_t end = text.find(']', begin == std::string::npos ? 0 : begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return text.substr(begin + 1, end - begin - 1);
}

std::string range_text(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t first = i;
    while (i + 1 < numbers.size() && numbers[i + 1] == numbers[i] + 1) ++i;
    text += str(text.empty() ? "" : ",", numbers[first]);
    if (i > first) text += str("-", numbers[i]);
  }
  return text;
}

Machine inspect_machine(const device::ProcessorSources& sources) {
  const std::string& root = sources.root;
  Machine machine;
  read_cpu(root, machine);
  read_memory(root, machine);
  read_cgroup(root, machine);
  read_limits(machine);
  machine.cpus_present = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_CONF)));
  machine.processors = device::find_processors(sources);
  machine.transparent_huge_pages =
      chosen_word(first_line(root + "/sys/kernel/mm/transparent_hugepage/enabled"));
  return machine;
}

}  // namespace inferneo::app
