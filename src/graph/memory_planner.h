// Where the activations of a step live: one workspace for all values and packed inputs, those
// whose lifetimes do not meet in the same memory.
// Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/matrices.h"
#include "graph/program.h"

namespace inferneo::graph {

// Offsets are aligned to a cache line.
struct MemoryLayout {
  std::vector<std::uint64_t> offsets;        // by ValueId
  std::vector<std::uint64_t> input_offsets;  // by index in `inputs`
  std::uint64_t size = 0;
};
// Precondition: rows * width of every value fits in 63 bits (true for sizes that are int32).
MemoryLayout plan_memory(const Program& program,
                         std::span<const PackedInput> inputs,
                         std::int64_t token_count,
                         std::int64_t logit_row_count);

}  // namespace inferneo::graph
