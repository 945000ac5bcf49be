#include "kv/kv_cache.h"

#include "base/check.h"

namespace inferneo::kv {
namespace {

constexpr std::size_t kBlockSize = limits::kKvBlockSizeTokens;

BlockTokens tokens_of_block(std::span<const std::int32_t> tokens, std::size_t block) {
  return tokens.subspan(block * kBlockSize).first<kBlockSize>();
}

}  // namespace

KvCache::KvCache(std::int32_t block_count,
                 std::int32_t capacity,
                 bool prefix_cache,
                 std::uint64_t hash_seed)
    : pool_(block_count, capacity), index_(capacity, hash_seed), prefix_cache_(prefix_cache) {}

std::uint64_t KvCache::bookkeeping_bytes(std::int64_t capacity) {
  return static_cast<std::uint64_t>(capacity) *
         (BlockPool::kBytesPerBlock + PrefixIndex::kBytesPerBlockMax);
}

void KvCache::resize(std::int32_t block_count) {
  for (std::int32_t block = block_count; block < pool_.total(); ++block) {
    index_.remove(static_cast<BlockId>(block), [this](BlockId removed) { pool_.forget(removed); });
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
  table.open = true;
}

void KvCache::close(BlockTable& table) {
  if (!table.open) return;
  release(table);
  index_.release_root(table.root);
  table.open = false;
}

std::int32_t KvCache::match(BlockTable& table,
                            std::span<const std::int32_t> tokens,
                            std::int32_t block_count_max) {
  CHECK(table.blocks.empty());
  const std::size_t count =
      std::min(static_cast<std::size_t>(block_count_max), tokens.size() / kBlockSize);
  NodeId parent = table.root;
  while (table.blocks.size() < count) {
    const auto found = index_.find(parent, tokens_of_block(tokens, table.blocks.size()));
    if (!found) break;
    pool_.add_reference(*found);
    table.blocks.push_back(*found);
    parent = *found;
  }
  table.indexed_count = static_cast<std::int32_t>(table.blocks.size());
  return table.indexed_count * limits::kKvBlockSizeTokens;
}

std::int32_t KvCache::count_matches(const BlockTable& table,
                                    std::span<const std::int32_t> tokens,
                                    std::int32_t block_count_max) const {
  const std::size_t count =
      std::min(static_cast<std::size_t>(block_count_max), tokens.size() / kBlockSize);
  NodeId parent = table.root;
  for (std::size_t i = 0; i < count; ++i) {
    const auto found = index_.find(parent, tokens_of_block(tokens, i));
    if (!found) return static_cast<std::int32_t>(i);
    parent = *found;
  }
  return static_cast<std::int32_t>(count);
}

bool KvCache::extend(BlockTable& table, std::int32_t token_count) {
  const auto needed = static_cast<std::size_t>(blocks_for(token_count));
  if (needed <= table.blocks.size()) return true;
  if (needed - table.blocks.size() > static_cast<std::size_t>(pool_.available())) return false;
  while (table.blocks.size() < needed) table.blocks.push_back(acquire_block());
  return true;
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
    table.indexed_count = static_cast<std::int32_t>(i) + 1;
  }
}

void KvCache::release(BlockTable& table) {
  while (!table.blocks.empty()) {
    const BlockId block = table.blocks.back();
    table.blocks.pop_back();
    pool_.release(block, /*keep=*/index_.contains(block));
  }
  table.indexed_count = 0;
}

void KvCache::discard(BlockTable& table) {
  for (const BlockId block : table.blocks) {
    index_.remove(block, [this](BlockId removed) { pool_.forget(removed); });
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
  return indexed == index_.size() && cached == pool_.cached();
}

BlockId KvCache::acquire_block() {
  const auto block = pool_.acquire();
  CHECK(block.has_value());
  index_.remove(*block, [this](BlockId removed) { pool_.forget(removed); });
  return *block;
}

}  // namespace inferneo::kv
