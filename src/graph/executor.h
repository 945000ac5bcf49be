// Runs a program step after step on a CPU device. Owns the workspace and the key/value cache; after
// creation nothing is allocated. Every result element is computed by kernels whose order of
// additions does not depend on the split, so results are bit-identical for any batch composition,
// chunking and thread count.
// Thread: one engine thread. Ownership: program, constants, matrices and device are borrowed and
// must outlive it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "base/result.h"
#include "device/cpu.h"
#include "graph/constants.h"
#include "graph/matrices.h"
#include "graph/program.h"

namespace inferneo::graph {

// A run of consecutive tokens of one sequence.
struct SequenceSlice {
  std::int32_t token_begin = 0;
  std::int32_t token_count = 0;
  std::int32_t context_before = 0;        // position of its first token
  const std::uint32_t* blocks = nullptr;  // block i holds positions [i * 16, (i + 1) * 16)
  // The same of layers with a window; null: `blocks`. Any block may stand where no token sees one.
  const std::uint32_t* window_blocks = nullptr;
  // Position of the first token of the second segment.
  std::int32_t second_begin = std::numeric_limits<std::int32_t>::max();

  [[nodiscard]] const std::uint32_t* blocks_of(bool has_window) const {
    return has_window && window_blocks != nullptr ? window_blocks : blocks;
  }
};

struct Step {
  std::span<const std::int32_t> token_ids;
  std::span<const SequenceSlice> sequences;        // in the order of token_ids
  std::span<const std::int32_t> logit_rows;        // indices into token_ids
  std::span<const std::int32_t> hidden_rows = {};  // the same, where only hidden states are wanted
};

struct StepLimits {
  std::int32_t token_count_max = 0;
  std::int32_t sequence_count_max = 0;
  std::int32_t logit_row_count_max = 0;  // those of hidden states included
  std::int32_t kv_block_count = 0;
  std::int32_t kv_window_block_count = 0;  // of layers with a window; 0: as many as of the others
};

class Executor {
 public:
  // Failures: resource_exhausted with the numbers.
  static Result<std::unique_ptr<Executor>> create(const Program& program,
                                                  const Constants& constants,
                                                  const Matrices& matrices,
                                                  device::CpuDevice& device,
                                                  const StepLimits& limits);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor();

  // Shape of the result: [logit_rows][vocabulary], valid until the next run. The step is trusted:
  // ids are in the vocabulary, sizes within the limits, blocks in the cache.
  std::span<float> run(const Step& step) noexcept;
  // See KvCache::resize. Not during a run.
  void resize_cache(std::int32_t block_count) noexcept;
  // Of the last run. Shape: [hidden_rows][width of Program::hidden], valid until the next run.
  [[nodiscard]] std::span<const float> hidden() const noexcept;

 private:
  class Impl;
  explicit Executor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::graph
