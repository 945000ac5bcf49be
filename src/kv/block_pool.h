// The blocks of one paged key/value cache, by id: reference counts and the order in which blocks
// that nobody uses are handed out again. It never sees bytes or token ids.
// A block is used (referenced), cached (unreferenced, content kept for reuse) or free.
// The pool may be smaller than its capacity: blocks from total() on are withheld.
// Invariant: used + cached + free = total.
// Thread: engine. All calls but resize() are O(1) and none allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kv/block_id.h"

namespace inferneo::kv {

class BlockPool {
 public:
  // `capacity`: up to how many resize() may go; at least `block_count`.
  BlockPool(std::int32_t block_count, std::int32_t capacity);
  explicit BlockPool(std::int32_t block_count) : BlockPool(block_count, block_count) {}

  // Hands out blocks below `block_count` only, 1 to capacity(). Those from there on must be free.
  void resize(std::int32_t block_count);

  // Takes the first block in eviction order (free ones before cached ones, cached ones least
  // recently used first) with one reference. The caller forgets what a cached one held.
  std::optional<BlockId> acquire();
  // One more user; revives a cached block.
  void add_reference(BlockId block);
  // One user less. The last one leaves the block cached when `keep`, else free.
  void release(BlockId block, bool keep);
  // The content of `block` is worth nothing any more: a cached block becomes free.
  void forget(BlockId block);

  [[nodiscard]] std::int32_t reference_count(BlockId block) const {
    return blocks_[block].reference_count;
  }
  [[nodiscard]] std::int32_t total() const { return total_; }
  [[nodiscard]] std::int32_t capacity() const {
    return static_cast<std::int32_t>(blocks_.size()) - 1;
  }
  [[nodiscard]] std::int32_t used() const { return total() - free_ - cached_; }
  [[nodiscard]] std::int32_t cached() const { return cached_; }
  [[nodiscard]] std::int32_t free() const { return free_; }
  // Blocks that acquire() can hand out.
  [[nodiscard]] std::int32_t available() const { return free_ + cached_; }

  // Walks everything and compares with the counters. O(total).
  [[nodiscard]] bool consistent() const;

 private:
  struct Block {
    std::int32_t reference_count = 0;
    bool cached = false;
    // Neighbours in eviction order while unreferenced.
    BlockId previous = 0;
    BlockId next = 0;
  };

 public:
  static constexpr std::size_t kBytesPerBlock = sizeof(Block);

 private:
  [[nodiscard]] BlockId sentinel() const { return static_cast<BlockId>(blocks_.size() - 1); }
  void link_before(BlockId block, BlockId next);
  void unlink(BlockId block);

  std::vector<Block> blocks_;  // the last entry closes the ring of the eviction order
  std::int32_t total_ = 0;
  std::int32_t free_ = 0;
  std::int32_t cached_ = 0;
};

}  // namespace inferneo::kv
