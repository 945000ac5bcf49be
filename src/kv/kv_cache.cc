#include "kv/kv_cache.h"

#include <algorithm>

#include "base/check.h"

namespace inferneo::kv {
namespace {

constexpr std::size_t kBlockSize = limits::kKvBlockSizeTokens;

BlockTokens tokens_of_block(std::span<const std::int32_t> tokens, std::size_t block) {
  return tokens.subspan(block * kBlockSize).first<kBlockSize>();
}

}  // namespace

KvCache::KvCache(std::int32_t block_count,
                 bool prefix_cache,
                 std::uint64_t hash_seed,
                 const WindowOptions& window,
                 std::int32_t capacity)
    : pool_(block_count, std::max(block_count, capacity)),
      window_pool_(window.block_count),
      window_reach_(window.reach),
      index_(pool_.capacity(), hash_seed),
      owners_(static_cast<std::size_t>(window.block_count), kNoBlock),
      prefix_cache_(prefix_cache) {
  found_.reserve(static_cast<std::size_t>(pool_.capacity()));
  if (has_window()) companions_.resize(static_cast<std::size_t>(pool_.capacity()), kNoBlock);
}

std::uint64_t KvCache::bookkeeping_bytes(std::int64_t capacity) {
  return static_cast<std::uint64_t>(capacity) *
         (BlockPool::kBytesPerBlock + PrefixIndex::kBytesPerBlockMax + sizeof(BlockId));
}

void KvCache::resize(std::int32_t block_count) {
  for (std::int32_t block = block_count; block < pool_.total(); ++block) {
    index_.remove(static_cast<BlockId>(block), [this](BlockId removed) { forget(removed); });
  }
  pool_.resize(block_count);
}

std::int32_t KvCache::blocks_for(std::int64_t token_count) {
  return static_cast<std::int32_t>((token_count + limits::kKvBlockSizeTokens - 1) /
                                   limits::kKvBlockSizeTokens);
}

void KvCache::open(BlockTable& table, std::string_view salt, std::int32_t block_count_max) {
  CHECK(!table.open);
  table.root = index_.acquire_root(salt);
  table.blocks.reserve(static_cast<std::size_t>(block_count_max));
  if (has_window()) table.window_blocks.reserve(static_cast<std::size_t>(block_count_max));
  table.open = true;
}

void KvCache::close(BlockTable& table) {
  if (!table.open) return;
  release(table);
  index_.release_root(table.root);
  table.open = false;
}

// The first block that a token behind `block_count` full blocks sees in layers with a window.
std::int32_t KvCache::first_seen(std::int32_t block_count) const {
  return std::max(0, block_count * limits::kKvBlockSizeTokens - window_reach_) /
         limits::kKvBlockSizeTokens;
}

std::optional<BlockId> KvCache::companion(BlockId block) const {
  if (!has_window() || companions_[block] == kNoBlock) return std::nullopt;
  return companions_[block];
}

std::int32_t KvCache::usable(std::span<const BlockId> found) const {
  const auto count = static_cast<std::int32_t>(found.size());
  if (!has_window()) return count;
  std::int32_t best = 0;
  std::int32_t first = 0;  // of the companions that end at i
  for (std::int32_t i = 0; i < count; ++i) {
    if (!companion(found[static_cast<std::size_t>(i)])) first = i + 1;
    if (first <= first_seen(i + 1)) best = i + 1;
  }
  return best;
}

std::int32_t KvCache::match(BlockTable& table,
                            std::span<const std::int32_t> tokens,
                            std::int32_t block_count_max) {
  CHECK(table.blocks.empty());
  find_blocks(table.root, tokens, block_count_max, table.blocks);
  table.blocks.resize(static_cast<std::size_t>(usable(table.blocks)));
  for (const BlockId block : table.blocks) pool_.add_reference(block);
  table.indexed_count = static_cast<std::int32_t>(table.blocks.size());
  if (has_window()) adopt_window(table);
  return table.indexed_count * limits::kKvBlockSizeTokens;
}

void KvCache::adopt_window(BlockTable& table) {
  table.retired_count = first_seen(table.indexed_count);
  table.window_blocks.assign(table.blocks.size(), 0);
  for (auto i = static_cast<std::size_t>(table.retired_count); i < table.blocks.size(); ++i) {
    const BlockId block = companions_[table.blocks[i]];
    window_pool_.add_reference(block);
    table.window_blocks[i] = block;
  }
}

std::int32_t KvCache::count_matches(const BlockTable& table,
                                    std::span<const std::int32_t> tokens,
                                    std::int32_t block_count_max) {
  find_blocks(table.root, tokens, block_count_max, found_);
  return usable(found_);
}

// The blocks of the index for the head of `tokens`, at most `block_count_max`.
void KvCache::find_blocks(NodeId root,
                          std::span<const std::int32_t> tokens,
                          std::int32_t block_count_max,
                          std::vector<BlockId>& found) const {
  const std::size_t count =
      std::min(static_cast<std::size_t>(block_count_max), tokens.size() / kBlockSize);
  found.clear();
  NodeId parent = root;
  while (found.size() < count) {
    const auto next = index_.find(parent, tokens_of_block(tokens, found.size()));
    if (!next) return;
    found.push_back(*next);
    parent = *next;
  }
}

bool KvCache::extend(BlockTable& table, std::int32_t token_count) {
  const auto needed = static_cast<std::size_t>(blocks_for(token_count));
  if (needed <= table.blocks.size()) return true;
  if (needed - table.blocks.size() > static_cast<std::size_t>(pool_.available())) return false;
  while (table.blocks.size() < needed) table.blocks.push_back(acquire_block());
  return true;
}

bool KvCache::extend_window(BlockTable& table, std::int32_t token_count) {
  if (!has_window()) return true;
  const auto needed = static_cast<std::size_t>(blocks_for(token_count));
  if (needed <= table.window_blocks.size()) return true;
  const std::size_t missing = needed - table.window_blocks.size();
  if (missing > static_cast<std::size_t>(window_pool_.available())) return false;
  while (table.window_blocks.size() < needed) {
    table.window_blocks.push_back(acquire_window_block());
  }
  return true;
}

bool KvCache::retire(BlockTable& table, std::int32_t computed, bool all) {
  if (!has_window()) return false;
  std::int32_t end = std::min(first_seen(computed / limits::kKvBlockSizeTokens),
                              static_cast<std::int32_t>(table.window_blocks.size()));
  // Why: what enters the index can be found again, and it enters only when its content is known to
  // be good.
  if (prefix_cache_ && !all) end = std::min(end, table.indexed_count);
  const bool any = table.retired_count < end;
  for (; table.retired_count < end; ++table.retired_count) {
    BlockId& block = table.window_blocks[static_cast<std::size_t>(table.retired_count)];
    window_pool_.release(block, /*keep=*/owners_[block] != kNoBlock);
    block = 0;
  }
  return any;
}

void KvCache::share(const BlockTable& from, std::int32_t block_count, BlockTable& to) {
  CHECK(to.blocks.empty() && to.root == from.root);
  const auto count = static_cast<std::size_t>(block_count);
  CHECK(count <= from.blocks.size());
  for (std::size_t i = 0; i < count; ++i) {
    pool_.add_reference(from.blocks[i]);
    to.blocks.push_back(from.blocks[i]);
  }
  to.indexed_count = std::min(from.indexed_count, block_count);
  if (!has_window()) return;
  to.retired_count = first_seen(block_count);
  CHECK(from.retired_count <= to.retired_count && count <= from.window_blocks.size());
  to.window_blocks.assign(count, 0);
  for (auto i = static_cast<std::size_t>(to.retired_count); i < count; ++i) {
    window_pool_.add_reference(from.window_blocks[i]);
    to.window_blocks[i] = from.window_blocks[i];
  }
}

void KvCache::commit(BlockTable& table,
                     std::span<const std::int32_t> tokens,
                     std::int32_t computed) {
  if (!prefix_cache_) return;
  const auto full = static_cast<std::size_t>(computed) / kBlockSize;
  for (auto i = static_cast<std::size_t>(table.indexed_count); i < full; ++i) {
    const NodeId parent = i == 0 ? table.root : table.blocks[i - 1];
    // The parent is gone when a fault made someone discard it; nothing may stand on it then.
    if (i > 0 && !index_.contains(parent)) return;
    const BlockTokens key = tokens_of_block(tokens, i);
    const auto existing = index_.find(parent, key);
    if (existing) {
      pool_.add_reference(*existing);
      pool_.release(table.blocks[i], /*keep=*/false);
      table.blocks[i] = *existing;
    } else {
      index_.insert(parent, key, table.blocks[i]);
    }
    if (has_window()) commit_window(table, i);
    table.indexed_count = static_cast<std::int32_t>(i) + 1;
  }
}

// Makes the window block at `at` the companion of its block of the index, or exchanges it for the
// one that is there.
void KvCache::commit_window(BlockTable& table, std::size_t at) {
  if (at < static_cast<std::size_t>(table.retired_count)) return;
  BlockId& block = table.window_blocks[at];
  BlockId& known = companions_[table.blocks[at]];
  if (known == kNoBlock) {
    known = block;
    owners_[block] = table.blocks[at];
  } else if (known != block) {
    window_pool_.add_reference(known);
    window_pool_.release(block, /*keep=*/false);
    block = known;
  }
}

// Why from the head: a continuation needs the last blocks, so these are kept longest.
void KvCache::release_window(BlockTable& table) {
  for (auto i = static_cast<std::size_t>(table.retired_count); i < table.window_blocks.size();
       ++i) {
    const BlockId block = table.window_blocks[i];
    window_pool_.release(block, /*keep=*/owners_[block] != kNoBlock);
  }
  table.window_blocks.clear();
  table.retired_count = 0;
}

void KvCache::release(BlockTable& table) {
  release_window(table);
  while (!table.blocks.empty()) {
    const BlockId block = table.blocks.back();
    table.blocks.pop_back();
    pool_.release(block, /*keep=*/index_.contains(block));
  }
  table.indexed_count = 0;
}

void KvCache::discard(BlockTable& table) {
  for (const BlockId block : table.blocks) {
    index_.remove(block, [this](BlockId removed) { forget(removed); });
  }
  release(table);
}

bool KvCache::consistent() const {
  if (!pool_.consistent()) return false;
  std::int32_t indexed = 0;
  std::int32_t cached = 0;
  for (BlockId block = 0; block < static_cast<BlockId>(pool_.total()); ++block) {
    if (!index_.contains(block)) continue;
    ++indexed;
    if (pool_.reference_count(block) == 0) ++cached;
  }
  return indexed == index_.size() && cached == pool_.cached() && window_consistent();
}

bool KvCache::window_consistent() const {
  if (!window_pool_.consistent()) return false;
  std::int32_t cached = 0;
  for (BlockId block = 0; block < static_cast<BlockId>(window_pool_.total()); ++block) {
    const BlockId owner = owners_[block];
    if (owner == kNoBlock) continue;
    if (companions_[owner] != block || !index_.contains(owner)) return false;
    if (window_pool_.reference_count(block) == 0) ++cached;
  }
  const auto owned = std::ranges::count_if(owners_, [](BlockId id) { return id != kNoBlock; });
  const auto known = std::ranges::count_if(companions_, [](BlockId id) { return id != kNoBlock; });
  return owned == known && cached == window_pool_.cached();
}

BlockId KvCache::acquire_block() {
  const auto block = pool_.acquire();
  CHECK(block.has_value());
  index_.remove(*block, [this](BlockId removed) { forget(removed); });
  return *block;
}

BlockId KvCache::acquire_window_block() {
  const auto block = window_pool_.acquire();
  CHECK(block.has_value());
  BlockId& owner = owners_[*block];
  if (owner != kNoBlock) companions_[owner] = kNoBlock;
  owner = kNoBlock;
  return *block;
}

// A block has left the index, and its companion with it.
void KvCache::forget(BlockId removed) {
  pool_.forget(removed);
  if (!has_window() || companions_[removed] == kNoBlock) return;
  owners_[companions_[removed]] = kNoBlock;
  window_pool_.forget(companions_[removed]);
  companions_[removed] = kNoBlock;
}

}  // namespace inferneo::kv
