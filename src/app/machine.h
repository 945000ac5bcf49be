// What this machine offers to the program: processor, memory, limits of the container. Read from
// the kernel's files; a value that cannot be read is absent.
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace inferneo::app {

struct Machine {
  std::string cpu_model;               // empty when unknown
  std::vector<std::string> cpu_flags;  // those that matter to kernels, as the kernel names them
  int cpus_present = 0;
  int cpus_usable = 0;  // by affinity and cgroup quota
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  std::optional<std::uint64_t> cgroup_memory_bytes_max;
  std::optional<std::uint64_t> cgroup_memory_bytes_used;
  std::string transparent_huge_pages;                    // "always", "madvise", "never", or empty
  std::optional<std::uint64_t> locked_memory_bytes_max;  // absent: unlimited
  std::uint64_t open_files_max = 0;
};

// `root` is put before every path, for tests.
Machine inspect_machine(const std::string& root = {});

// The word in brackets of "always [madvise] never".
std::string chosen_word(const std::string& text);

}  // namespace inferneo::app
