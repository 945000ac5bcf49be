// The key/value cache as the scheduler sees it: block tables that grow, share prefixes, and give
// their blocks back. Joins the block pool (who uses what) and the prefix index (what holds what).
// Ids only; the bytes belong to the runner.
// Invariant: blocks in the index are used or cached; a cached block's parent leaves the cache after
// it (tables release from the tail, so that eviction takes leaves first).
// Thread: engine. After open() no call allocates. Ownership: tables belong to their sequences and
// are worth nothing without the cache that opened them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kv/block_id.h"
#include "kv/block_pool.h"
#include "kv/prefix_index.h"

namespace inferneo::kv {

// Blocks of one sequence; block i holds positions [i*16, (i+1)*16).
struct BlockTable {
  std::vector<BlockId> blocks;
  NodeId root = 0;
  // Leading blocks that were entered into the index or adopted from it.
  std::int32_t indexed_count = 0;
  bool open = false;
};

class KvCache {
 public:
  // Without `prefix_cache` nothing is indexed, so every released block is free.
  // `capacity`: up to how many blocks resize() may go; at least `block_count`.
  KvCache(std::int32_t block_count,
          std::int32_t capacity,
          bool prefix_cache,
          std::uint64_t hash_seed);
  KvCache(std::int32_t block_count, bool prefix_cache, std::uint64_t hash_seed)
      : KvCache(block_count, block_count, prefix_cache, hash_seed) {}

  // Memory that a capacity of so many blocks takes here, beside the blocks themselves.
  [[nodiscard]] static std::uint64_t bookkeeping_bytes(std::int64_t capacity);

  // Uses only blocks below `block_count` from now on, 1 to the capacity: cached ones from there on
  // are forgotten, with all that was computed on top of them. No table may hold one. O(blocks).
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
                                           std::int32_t block_count_max) const;
  // Makes room for `token_count` tokens, all or nothing; false when too few blocks are available.
  bool extend(BlockTable& table, std::int32_t token_count);
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
  [[nodiscard]] const PrefixIndex& index() const { return index_; }
  // Counters, lists and tree agree with each other. O(blocks).
  [[nodiscard]] bool consistent() const;

 private:
  BlockId acquire_block();

  BlockPool pool_;
  PrefixIndex index_;
  bool prefix_cache_;
};

}  // namespace inferneo::kv
