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
  std::int32_t window_block_count = 0;  // of layers with a window; 0 without such layers
  // At most what was asked for; less when the pool cannot hold one sequence of that length.
  std::int32_t context_tokens_max = 0;
};

// Of one step, with the rows of logits that its limits allow.
std::uint64_t workspace_bytes(const runtime::MemoryPlan& plan, const KvPoolRequest& request);

// Failures: resource_exhausted with the bytes needed and available.
Result<KvPool> size_kv_pool(const runtime::MemoryPlan& plan, const KvPoolRequest& request);

// Whether the weights, the workspace of a step and the smallest useful pool fit at all; asked
// before anything is loaded. Failures: resource_exhausted with the bytes needed and available.
Status check_memory(const runtime::MemoryPlan& plan, const KvPoolRequest& request);

// Bytes that a version needs, known before it is loaded.
struct VersionSizes {
  std::uint64_t fixed_bytes = 0;   // weights, workspace and what is beside
  std::uint64_t beside_bytes = 0;  // of these: texts, and bookkeeping of the pool and its prefixes
  std::uint64_t weight_bytes = 0;  // of these, what stays when only the pool is built anew
  std::uint64_t kv_min_bytes = 0;  // the smallest useful pool
  std::uint64_t kv_floor_bytes = 0;  // a pool of one whole context: pools are shrunk to this
  std::uint64_t kv_max_bytes = 0;    // what a full running set can use
  std::uint64_t kv_wish_bytes = 0;   // in proportion to the model, when memory is plenty
  bool kv_has_windows = false;       // two pools in one: it keeps its size while the model serves
  bool kv_is_fixed = false;          // the operator chose: all four are that
};

// From the plan of a load. Of the request, `available_bytes` is the whole budget. `text_bytes`: of
// the tokenizer and template. Failures: resource_exhausted when the pool that was asked for is too
// small for anything.
Result<VersionSizes> size_version(const runtime::MemoryPlan& plan,
                                  const KvPoolRequest& request,
                                  std::uint64_t text_bytes = 0);

// Of the machine, whatever control groups grant.
std::uint64_t physical_memory_bytes();

// What the tokenizer and template of so many bytes on disk take in memory. An estimate.
std::uint64_t text_bytes(std::uint64_t bytes_on_disk);

// Resident memory of this process as the system counts it; 0 where it does not say.
std::uint64_t resident_memory_bytes();

// "1.5 GiB", for messages.
std::string format_bytes(std::uint64_t bytes);

}  // namespace inferneo::manager
