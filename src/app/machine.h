// What this machine offers to the program: processor, memory, limits of the container. Read from
// the kernel's files; a value that cannot be read is absent.
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "device/processors.h"

namespace inferneo::app {

struct Machine {
  std::string cpu_model;               // empty when unknown
  std::vector<std::string> cpu_flags;  // those that matter to kernels, as the kernel names them
  int cpus_present = 0;
  device::Processors processors;  // those allowed by affinity, and the quota of the container
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  // Of the tightest control group.
  std::optional<std::uint64_t> cgroup_memory_bytes_max;
  std::optional<std::uint64_t> cgroup_memory_bytes_used;
  std::string transparent_huge_pages;  // "always", "madvise", "never", or empty
  // Pages of fixed size that somebody has set aside for programs that ask for them.
  std::uint64_t huge_page_bytes = 0;
  std::uint64_t huge_page_count = 0;
  std::uint64_t huge_page_free_count = 0;
  std::optional<std::uint64_t> locked_memory_bytes_max;  // absent: unlimited
  std::uint64_t open_files_max = 0;
};

// For tests: where the kernel's files are and what the affinity mask is.
Machine inspect_machine(const device::ProcessorSources& sources = {});

// "0-3,8" for 0, 1, 2, 3, 8. Ascending.
std::string range_text(const std::vector<int>& numbers);

// The word in brackets of "always [madvise] never".
std::string chosen_word(const std::string& text);

}  // namespace inferneo::app
