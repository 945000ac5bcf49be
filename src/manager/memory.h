// How much memory this process may still use, and how a KV pool is cut to fit into it.
// Thread: any.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "runtime/runtime.h"

namespace inferneo::manager {

// The places that say what is free; tests name their own.
struct MemorySources {
  std::string meminfo = "/proc/meminfo";
  std::string self_cgroup = "/proc/self/cgroup";
  std::string cgroup_root = "/sys/fs/cgroup";
};

// The smallest of what the machine has available and what each control group (version 1 or 2) of
// this process, up to the root, still grants. Page cache that can be dropped counts as available.
std::uint64_t available_memory_bytes(const MemorySources& sources = {});

struct KvPoolRequest {
  std::uint64_t available_bytes = 0;
  std::uint64_t kv_bytes = 0;  // as configured; 0 means to choose
  std::int32_t context_tokens_max = 0;
  std::int32_t sequence_count_max = 0;
  std::int32_t step_token_count_max = 0;
};

struct KvPool {
  std::int32_t block_count = 0;
  // At most what was asked for; less when the pool cannot hold one sequence of that length.
  std::int32_t context_tokens_max = 0;
};

// Failures: resource_exhausted with the bytes needed and available.
Result<KvPool> size_kv_pool(const runtime::MemoryPlan& plan, const KvPoolRequest& request);

// Whether the weights, the workspace of a step and the smallest useful pool fit at all; asked
// before anything is loaded. Failures: resource_exhausted with the bytes needed and available.
Status check_memory(const runtime::MemoryPlan& plan, const KvPoolRequest& request);

// "1.5 GiB", for messages.
std::string format_bytes(std::uint64_t bytes);

}  // namespace inferneo::manager
