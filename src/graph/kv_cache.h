// The bytes of the paged key/value cache of one runner. For each layer the keys of all blocks, then
// their values; within a block [kv_head][slot][head_dim], as the attention kernels read it.
// Thread: one engine thread and the workers of its device. Ownership: owns the memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/anonymous_memory.h"
#include "base/result.h"
#include "graph/program.h"

namespace inferneo::graph {

class KvCache {
 public:
  // Failures: resource_exhausted with the numbers.
  static Result<KvCache> allocate(const Program& program, std::int64_t block_count);

  [[nodiscard]] std::byte* keys(std::int32_t layer) const {
    return memory_.data() + static_cast<std::size_t>(layer) * 2 * plane_size_;
  }
  [[nodiscard]] std::byte* values(std::int32_t layer) const { return keys(layer) + plane_size_; }

 private:
  AnonymousMemory memory_;
  std::size_t plane_size_ = 0;  // all keys, or all values, of a layer
};

}  // namespace inferneo::graph
