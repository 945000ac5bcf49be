// The key/value cache as the scheduler sees it: block tables that grow, share prefixes, and give
// their blocks back. Joins the block pool (who uses what) and the prefix index (what holds what).
// Ids only; the bytes belong to the runner.
//
// Layers whose tokens see a window of keys alone have blocks of a pool of their own. A table gives
// those behind the window back while its sequence goes on. The index knows such a block as the
// companion of the block that holds the same tokens of the other layers, which keeps its place in
// the tree for as long as it lives; a prefix can be reused as far as a token behind it finds its
// window. Of a model whose layers all have a window, the blocks of the index cost nothing.
// Invariant: blocks in the index are used or cached; a cached block's parent leaves the cache after
// it (tables release from the tail, so that eviction takes leaves first). A cached block of the
// window pool has an owner, of which it is the companion.
// Thread: engine. After open() no call allocates. Ownership: tables belong to their sequences and
// are worth nothing without the cache that opened them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kv/block_count.h"
#include "kv/block_id.h"
#include "kv/block_pool.h"
#include "kv/prefix_index.h"

namespace inferneo::kv {

// Blocks of one sequence; block i holds positions [i*16, (i+1)*16).
struct BlockTable {
  std::vector<BlockId> blocks;
  // The same of layers with a window. The first `retired_count` are gone; 0 stands in their place.
  std::vector<BlockId> window_blocks;
  std::int32_t retired_count = 0;
  NodeId root = 0;
  // Leading blocks that were entered into the index or adopted from it.
  std::int32_t indexed_count = 0;
  bool open = false;
};

// Layers with a window: their pool, and how many keys before its own a token sees there.
struct WindowOptions {
  std::int32_t block_count = 0;  // 0: there are none
  std::int32_t reach = 0;
};

class KvCache {
 public:
  // Without `prefix_cache` nothing is indexed, so every released block is free.
  // `capacity`: up to how many blocks resize() may go; 0: as block_count.
  KvCache(std::int32_t block_count,
          bool prefix_cache,
          std::uint64_t hash_seed,
          const WindowOptions& window = {},
          std::int32_t capacity = 0);

  // Memory that a capacity of so many blocks takes here, beside the blocks themselves.
  [[nodiscard]] static std::uint64_t bookkeeping_bytes(std::int64_t capacity);

  // Uses only blocks below `block_count` from now on, 1 to the capacity: cached ones from there on
  // are forgotten, with all that was computed on top of them. No table may hold one. The pool of
  // windows stays as it is. O(blocks).
  void resize(std::int32_t block_count);

  // Blocks that `token_count` tokens occupy.
  [[nodiscard]] static std::int32_t blocks_for(std::int64_t token_count);

  // Prepares an empty table that will never hold more than `block_count_max` blocks.
  void open(BlockTable& table, std::string_view salt, std::int32_t block_count_max);
  // Releases its blocks and its root.
  void close(BlockTable& table);

  // Adopts indexed blocks for the head of `tokens` into an empty table, at most `block_count_max`
  // of them. Returns how many tokens they cover.
  std::int32_t match(BlockTable& table,
                     std::span<const std::int32_t> tokens,
                     std::int32_t block_count_max);
  // How many blocks match() would adopt.
  [[nodiscard]] std::int32_t count_matches(const BlockTable& table,
                                           std::span<const std::int32_t> tokens,
                                           std::int32_t block_count_max);
  // Makes room for `token_count` tokens, all or nothing; false when too few blocks are available.
  bool extend(BlockTable& table, std::int32_t token_count);
  // The same in layers with a window; true where there are none.
  bool extend_window(BlockTable& table, std::int32_t token_count);
  // Gives back the window blocks that no token from `computed` on, rounded down to whole blocks,
  // sees; what is not in the index yet only when `all`. False when there are none.
  bool retire(BlockTable& table, std::int32_t computed, bool all);
  // Lets the empty table `to` use the first `block_count` blocks of `from` as well.
  void share(const BlockTable& from, std::int32_t block_count, BlockTable& to);
  // Enters the full blocks among the first `computed` tokens into the index. A block whose content
  // is there already is exchanged for the indexed one, so that equal content is held once.
  void commit(BlockTable& table, std::span<const std::int32_t> tokens, std::int32_t computed);
  // Gives all blocks back; indexed ones stay cached.
  void release(BlockTable& table);
  // The same for content that cannot be trusted: its blocks, and all that was computed on top of
  // them, leave the index first, whoever entered them.
  void discard(BlockTable& table);

  [[nodiscard]] bool prefix_cache() const { return prefix_cache_; }
  [[nodiscard]] const BlockPool& pool() const { return pool_; }
  [[nodiscard]] bool has_window() const { return window_pool_.total() > 0; }
  [[nodiscard]] std::int32_t window_reach() const { return window_reach_; }
  [[nodiscard]] const BlockPool& window_pool() const { return window_pool_; }
  // The window block of a block of the index; nothing where it is gone.
  [[nodiscard]] std::optional<BlockId> companion(BlockId block) const;
  [[nodiscard]] const PrefixIndex& index() const { return index_; }
  // Counters, lists and tree agree with each other. O(blocks).
  [[nodiscard]] bool consistent() const;

 private:
  static constexpr BlockId kNoBlock = ~BlockId{0};

  BlockId acquire_block();
  BlockId acquire_window_block();
  [[nodiscard]] std::int32_t first_seen(std::int32_t block_count) const;
  // How many blocks of the index, from the first on, can be reused with their window.
  [[nodiscard]] std::int32_t usable(std::span<const BlockId> found) const;
  void find_blocks(NodeId root,
                   std::span<const std::int32_t> tokens,
                   std::int32_t block_count_max,
                   std::vector<BlockId>& found) const;
  void adopt_window(BlockTable& table);
  void commit_window(BlockTable& table, std::size_t at);
  void release_window(BlockTable& table);
  void forget(BlockId removed);
  [[nodiscard]] bool window_consistent() const;

  BlockPool pool_;
  BlockPool window_pool_;
  std::int32_t window_reach_;
  PrefixIndex index_;
  std::vector<BlockId> companions_;  // by block; kNoBlock for none
  std::vector<BlockId> owners_;      // by window block; kNoBlock for none
  std::vector<BlockId> found_;       // of a look-up; never longer than the pool
  bool prefix_cache_;
};

}  // namespace inferneo::kv
