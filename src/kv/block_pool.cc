#include "kv/block_pool.h"

#include "base/check.h"

namespace inferneo::kv {

BlockPool::BlockPool(std::int32_t block_count, std::int32_t capacity)
    : blocks_(static_cast<std::size_t>(capacity) + 1) {
  CHECK(block_count >= 0 && capacity >= block_count);
  blocks_[sentinel()].previous = sentinel();
  blocks_[sentinel()].next = sentinel();
  for (BlockId block = 0; block < static_cast<BlockId>(block_count); ++block) {
    link_before(block, sentinel());
  }
  free_ = total_ = block_count;
}

void BlockPool::resize(std::int32_t block_count) {
  CHECK(block_count >= 1 && block_count <= capacity());
  for (; total_ > block_count; --total_, --free_) {
    const auto block = static_cast<BlockId>(total_ - 1);
    CHECK(blocks_[block].reference_count == 0 && !blocks_[block].cached);
    unlink(block);
  }
  // Why last among the free ones: the lower the blocks in use, the more can be given back.
  BlockId place = blocks_[sentinel()].next;
  while (place != sentinel() && !blocks_[place].cached) place = blocks_[place].next;
  for (; total_ < block_count; ++total_, ++free_) {
    link_before(static_cast<BlockId>(total_), place);
  }
}

std::optional<BlockId> BlockPool::acquire() {
  const BlockId block = blocks_[sentinel()].next;
  if (block == sentinel()) return std::nullopt;
  unlink(block);
  blocks_[block].cached ? --cached_ : --free_;
  blocks_[block].cached = false;
  blocks_[block].reference_count = 1;
  return block;
}

void BlockPool::add_reference(BlockId block) {
  Block& entry = blocks_[block];
  if (entry.reference_count++ > 0) return;
  // A free block has no content that anyone could want to share.
  CHECK(entry.cached);
  unlink(block);
  entry.cached = false;
  --cached_;
}

void BlockPool::release(BlockId block, bool keep) {
  Block& entry = blocks_[block];
  CHECK(entry.reference_count > 0);
  if (--entry.reference_count > 0) return;
  entry.cached = keep;
  if (keep) {
    ++cached_;
    link_before(block, sentinel());
  } else {
    ++free_;
    // Why at the front: its memory is the most likely to be in the processor's caches.
    link_before(block, blocks_[sentinel()].next);
  }
}

void BlockPool::forget(BlockId block) {
  Block& entry = blocks_[block];
  if (!entry.cached) return;
  entry.cached = false;
  --cached_;
  ++free_;
  unlink(block);
  link_before(block, blocks_[sentinel()].next);
}

bool BlockPool::consistent() const {
  std::int32_t used = 0;
  for (BlockId block = 0; block < sentinel(); ++block) {
    if (blocks_[block].reference_count < 0) return false;
    if (blocks_[block].reference_count == 0) continue;
    if (block >= static_cast<BlockId>(total_)) return false;
    ++used;
  }
  std::int32_t free = 0;
  std::int32_t cached = 0;
  for (BlockId at = blocks_[sentinel()].next; at != sentinel(); at = blocks_[at].next) {
    if (blocks_[at].reference_count != 0 || blocks_[blocks_[at].next].previous != at) return false;
    blocks_[at].cached ? ++cached : ++free;
    if (free + cached > total()) return false;
  }
  return free == free_ && cached == cached_ && used + free + cached == total();
}

void BlockPool::link_before(BlockId block, BlockId next) {
  const BlockId previous = blocks_[next].previous;
  blocks_[block].previous = previous;
  blocks_[block].next = next;
  blocks_[previous].next = block;
  blocks_[next].previous = block;
}

void BlockPool::unlink(BlockId block) {
  blocks_[blocks_[block].previous].next = blocks_[block].next;
  blocks_[blocks_[block].next].previous = blocks_[block].previous;
}

}  // namespace inferneo::kv
