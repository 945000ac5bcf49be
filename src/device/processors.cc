#include "device/processors.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "base/cgroup.h"
#include "base/str.h"

namespace inferneo::device {
namespace {

// Bound: kernels are built for at most 8192 processors; the mask grows until the kernel accepts it.
constexpr int kProcessorCountMax = 1 << 16;

std::vector<int> affinity() {
  std::vector<int> allowed;
  for (int count = CPU_SETSIZE; count <= kProcessorCountMax; count *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(
        CPU_ALLOC(static_cast<std::size_t>(count)), [](cpu_set_t* set) { CPU_FREE(set); });
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(count));
    if (mask == nullptr) break;
    CPU_ZERO_S(size, mask.get());
    if (sched_getaffinity(0, size, mask.get()) == 0) {
      for (int i = 0; i < count; ++i) {
        if (CPU_ISSET_S(static_cast<std::size_t>(i), size, mask.get())) allowed.push_back(i);
      }
      break;
    }
    if (errno != EINVAL) break;
  }
  return allowed;
}

// The core of a processor, as the list of its siblings ("0,64"): the same text for all of them.
std::optional<std::string> siblings(const std::string& root, int processor) {
  const std::string topology = str(root, "/sys/devices/system/cpu/cpu", processor, "/topology/");
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {
    std::ifstream in(topology + name);
    std::string line;
    if (std::getline(in, line) && !line.empty()) return line;
  }
  return std::nullopt;
}

std::vector<std::vector<int>> group_by_core(const std::string& root,
                                            const std::vector<int>& allowed) {
  std::vector<std::vector<int>> cores;
  std::map<std::string, std::size_t> known;
  for (const int processor : allowed) {
    const auto name = siblings(root, processor);
    const auto [core, added] =
        known.try_emplace(name.value_or(str("cpu", processor)), cores.size());
    if (added) cores.emplace_back();
    cores[core->second].push_back(processor);
  }
  return cores;
}

// Spec: cgroup-v2, cpu.max ("max 100000" or "150000 100000"); cgroup-v1, cpu.cfs_quota_us (-1 for
// none) and cpu.cfs_period_us. 0 for no limit.
double quota_of(const std::string& directory) {
  double quota = 0;
  double period = 0;
  std::ifstream v2(directory + "/cpu.max");
  if (v2 >> quota >> period) return quota > 0 && period > 0 ? quota / period : 0;
  std::ifstream quota_v1(directory + "/cpu.cfs_quota_us");
  std::ifstream period_v1(directory + "/cpu.cfs_period_us");
  if (quota_v1 >> quota && period_v1 >> period && quota > 0 && period > 0) return quota / period;
  return 0;
}

}  // namespace

int Processors::processor_count() const {
  std::size_t count = 0;
  for (const std::vector<int>& core : cores) count += core.size();
  return static_cast<int>(count);
}

Processors find_processors(const ProcessorSources& sources) {
  std::vector<int> allowed = sources.allowed.empty() ? affinity() : sources.allowed;
  if (allowed.empty()) allowed.push_back(0);
  std::sort(allowed.begin(), allowed.end());
  Processors processors;
  processors.cores = group_by_core(sources.root, allowed);
  for (const std::string& directory : cgroup_directories("cpu", sources.root)) {
    const double quota = quota_of(directory);
    if (quota > 0 && (processors.quota == 0 || quota < processors.quota)) processors.quota = quota;
  }
  return processors;
}

int default_thread_count(const Processors& processors) {
  int count = processors.core_count();
  if (processors.quota > 0 && processors.quota < count) {
    count = static_cast<int>(std::ceil(processors.quota));
  }
  return std::max(count, 1);
}

std::vector<int> placement_order(const Processors& processors) {
  std::vector<int> order;
  for (std::size_t sibling = 0;
       order.size() < static_cast<std::size_t>(processors.processor_count());
       ++sibling) {
    for (const std::vector<int>& core : processors.cores) {
      if (sibling < core.size()) order.push_back(core[sibling]);
    }
  }
  return order;
}

}  // namespace inferneo::device
