// Which processors this process may compute on: those of the affinity mask (which a cpuset narrows
// too), grouped by physical core, and the share of their time that its control groups grant.
// Read once at start; a later change of affinity or quota is not followed.
// Thread: any (values).
#pragma once

#include <string>
#include <vector>

namespace inferneo::device {

struct Processors {
  // Allowed processors by physical core, both in ascending order; several on one core are its SMT
  // siblings. At least one core with one processor.
  std::vector<std::vector<int>> cores;
  // Processors' worth of time that the tightest control group grants; 0 without a limit.
  double quota = 0;

  [[nodiscard]] int core_count() const { return static_cast<int>(cores.size()); }
  [[nodiscard]] int processor_count() const;
};

// For tests. Defaults are the real machine.
struct ProcessorSources {
  std::string root;          // put before every path
  std::vector<int> allowed;  // the affinity mask; empty asks the kernel
};

// Never fails: what cannot be read does not limit, and a processor whose core is unknown counts as
// a core of its own.
Processors find_processors(const ProcessorSources& sources = {});

// Threads that compute fastest: one for each physical core, because siblings share the units and
// the bandwidth that matrix products are bound by, and no more than the quota (rounded up) keeps
// running, because a group that overdraws it is stopped as a whole.
int default_thread_count(const Processors& processors);

// Where to put thread 0, 1, ..: the first sibling of each core, then the second of each, ..
std::vector<int> placement_order(const Processors& processors);

}  // namespace inferneo::device
