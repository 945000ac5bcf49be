// Attention of a step: the cache, the cut of the work into items of about equal cost, and the
// results of ranges of keys where several threads share a long context. A row's bits depend on
// neither: ranges are fixed by position and merged in order, whoever computes them.
// Thread: one engine thread; store() and attend() also use the workers of the device.
// Ownership: owns the cache and its scratch; program, constants and device are borrowed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/result.h"
#include "device/cpu.h"
#include "graph/constants.h"
#include "graph/kv_cache.h"
#include "graph/program.h"

namespace inferneo::graph {

struct Step;
struct StepLimits;

class AttentionRunner {
 public:
  AttentionRunner(const Program& program, const Constants& constants, device::CpuDevice& device);

  // Allocates all that steps within the limits need. Failures: resource_exhausted with the numbers.
  Status allocate(const StepLimits& limits);

  // Cuts the attention of a step. The step must live until its last attend().
  void plan(const Step& step) noexcept;

  [[nodiscard]] bool has_window(std::int32_t layer) const { return cache_.has_window(layer); }

  // As KvCache::store. Thread: any worker.
  void store(std::int32_t layer,
             KvCache::Plane plane,
             KvCache::Slot at,
             std::int64_t head_begin,
             std::int64_t head_end,
             const float* heads) const noexcept {
    cache_.store(table_, layer, plane, at, head_begin, head_end, heads);
  }

  void resize_cache(std::int32_t block_count) const noexcept { cache_.resize(block_count); }

  // Attention of the planned step. Shape: q and out [tokens][heads][head_dim].
  void attend(const AttentionOp& op, const float* q, float* out) noexcept;

 private:
  // Consecutive rows of a sequence.
  struct Tile {
    std::int32_t sequence = 0;
    std::int32_t row_begin = 0;  // within the sequence's slice
    std::int32_t row_end = 0;
    std::int32_t key_count = 0;    // before the end of what its rows see
    std::int32_t range_first = 0;  // of keys that its rows see
    std::int64_t cost = 0;         // of one key/value head
    // Of a tile whose ranges of keys are split: items that share it, where its partials are (those
    // of head h at partials + h * partials_stride), and its first count of items to come.
    std::int32_t piece_count = 1;
    std::int64_t partials = 0;
    std::int64_t partials_stride = 0;
    std::size_t pending = 0;
  };
  // What one thread does for one key/value head: ranges of the keys of a tile.
  struct Item {
    std::int32_t tile = 0;
    std::int32_t range_begin = 0;
    std::int32_t range_end = 0;
    std::int64_t cost = 0;
  };

  // The work of a layer, cut. Sized at creation.
  struct Cut {
    bool has_window = false;
    std::vector<Tile> tiles;
    std::vector<Item> items;
    std::int32_t tile_count = 0;
    std::int32_t item_count = 0;
    std::int64_t work = 0;  // multiply-adds
    std::int64_t partials_used = 0;
    std::size_t pending_used = 0;
    std::unique_ptr<std::atomic<std::int32_t>[]> pending;  // Shape: [split tile][kv_head]
  };

  void plan(const Step& step, Cut& cut) noexcept;
  void cut_tiles(const Step& step, Cut& cut) const noexcept;
  void split_tile(Cut& cut, std::int32_t index, std::int64_t cost_max) const noexcept;
  void balance_items(Cut& cut) noexcept;
  void run_item(const AttentionOp& op,
                Cut& cut,
                const Item& item,
                std::int32_t kv_head,
                const float* q,
                float* out,
                int worker) noexcept;

  device::CpuDevice& device_;
  const kernels::KernelTable& table_;
  const Program& program_;
  const Constants& constants_;
  kernels::AttentionFn kernel_ = nullptr;
  KvCache cache_;
  AnonymousMemory scratch_;  // Shape: [workers][scratch_stride_] floats
  std::int64_t scratch_stride_ = 0;
  AnonymousMemory partials_;  // Shape: [partials_count_] floats
  std::int64_t partials_count_ = 0;
  KvWindows windows_;

  // About the planned step. Sized at creation.
  const Step* step_ = nullptr;
  std::array<Cut, 2> cuts_;  // of layers without and with a window
  std::vector<Item> sorted_;
  std::size_t pending_count_ = 0;
};

}  // namespace inferneo::graph
