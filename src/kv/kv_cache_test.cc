#include "kv/kv_cache.h"

#include <gtest/gtest.h>

#include <numeric>

namespace inferneo::kv {
namespace {

std::vector<std::int32_t> tokens(std::int32_t count, std::int32_t first = 0) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

// A table that closes itself, holding `ids` computed and committed.
class Held {
 public:
  Held(KvCache& cache, const std::vector<std::int32_t>& ids, std::string_view salt = "")
      : cache_(cache), ids_(ids) {
    cache.open(table, salt, 100);
    matched = cache.match(table, ids, 100);
    extended = cache.extend(table, static_cast<std::int32_t>(ids.size()));
  }
  ~Held() { cache_.close(table); }
  void commit() { cache_.commit(table, ids_, static_cast<std::int32_t>(ids_.size())); }

  BlockTable table;
  std::int32_t matched = 0;
  bool extended = false;

 private:
  KvCache& cache_;
  std::vector<std::int32_t> ids_;
};

TEST(BlockPool, free_blocks_go_before_cached_ones_and_those_in_order_of_use) {
  BlockPool pool(3);
  const BlockId a = *pool.acquire();
  const BlockId b = *pool.acquire();
  const BlockId c = *pool.acquire();
  EXPECT_FALSE(pool.acquire().has_value());
  pool.release(b, true);
  pool.release(a, true);
  pool.release(c, false);
  EXPECT_EQ(pool.used() + pool.cached() + pool.free(), pool.total());
  EXPECT_EQ(*pool.acquire(), c);
  EXPECT_EQ(*pool.acquire(), b);
  EXPECT_EQ(*pool.acquire(), a);
  EXPECT_TRUE(pool.consistent());
}

TEST(BlockPool, forgotten_content_makes_a_cached_block_free) {
  BlockPool pool(2);
  const BlockId a = *pool.acquire();
  pool.release(a, true);
  pool.forget(a);
  EXPECT_EQ(pool.cached(), 0);
  EXPECT_EQ(*pool.acquire(), a);
}

TEST(KvCache, blocks_for_rounds_up) {
  EXPECT_EQ(KvCache::blocks_for(0), 0);
  EXPECT_EQ(KvCache::blocks_for(1), 1);
  EXPECT_EQ(KvCache::blocks_for(16), 1);
  EXPECT_EQ(KvCache::blocks_for(17), 2);
}

TEST(KvCache, released_prefix_is_found_again) {
  KvCache cache(8, true, 1);
  {
    Held first(cache, tokens(40));
    first.commit();
  }
  EXPECT_EQ(cache.pool().cached(), 2);
  EXPECT_EQ(cache.pool().free(), 6);
  const Held second(cache, tokens(40));
  EXPECT_EQ(second.matched, 32);
  EXPECT_TRUE(cache.consistent());
}

TEST(KvCache, matches_are_counted_without_being_taken) {
  KvCache cache(8, true, 1);
  const std::vector<std::int32_t> ids = tokens(50);
  Held first(cache, ids);
  EXPECT_EQ(cache.count_matches(first.table, ids, 100), 0);
  first.commit();
  EXPECT_EQ(cache.count_matches(first.table, ids, 100), 3);
  EXPECT_EQ(cache.count_matches(first.table, ids, 2), 2);
  EXPECT_EQ(cache.count_matches(first.table, tokens(50, 1), 100), 0);
  EXPECT_EQ(cache.pool().reference_count(first.table.blocks[0]), 1);
}

TEST(KvCache, uncommitted_blocks_are_not_found) {
  KvCache cache(8, true, 1);
  { Held first(cache, tokens(40)); }
  const Held second(cache, tokens(40));
  EXPECT_EQ(second.matched, 0);
}

TEST(KvCache, a_different_token_ends_the_match) {
  KvCache cache(8, true, 1);
  std::vector<std::int32_t> other = tokens(48);
  other[20] = 99;
  {
    Held first(cache, tokens(48));
    first.commit();
  }
  const Held second(cache, other);
  EXPECT_EQ(second.matched, 16);
}

TEST(KvCache, salts_are_apart_and_their_roots_go) {
  KvCache cache(8, true, 1);
  {
    Held first(cache, tokens(32), "a");
    first.commit();
    const Held second(cache, tokens(32), "b");
    EXPECT_EQ(second.matched, 0);
    EXPECT_EQ(cache.index().root_count(), 2);
  }
  EXPECT_EQ(cache.index().root_count(), 1);
  const Held all(cache, tokens(128, 1000));
  EXPECT_TRUE(all.extended);
  EXPECT_EQ(cache.index().size(), 0);
}

TEST(KvCache, equal_content_is_held_once) {
  KvCache cache(8, true, 1);
  Held first(cache, tokens(32));
  Held second(cache, tokens(32));
  EXPECT_EQ(cache.pool().used(), 4);
  first.commit();
  second.commit();
  EXPECT_EQ(cache.pool().used(), 2);
  EXPECT_EQ(first.table.blocks, second.table.blocks);
}

TEST(KvCache, eviction_takes_leaves_first) {
  KvCache cache(4, true, 1);
  {
    Held first(cache, tokens(48));
    first.commit();
  }
  const Held other(cache, tokens(32, 500));
  EXPECT_TRUE(other.extended);
  EXPECT_EQ(cache.index().size(), 2);
  BlockTable table;
  cache.open(table, "", 4);
  EXPECT_EQ(cache.match(table, tokens(48), 4), 32);
  cache.close(table);
}

TEST(KvCache, extend_is_all_or_nothing) {
  KvCache cache(3, true, 1);
  Held first(cache, tokens(20));
  EXPECT_FALSE(cache.extend(first.table, 64));
  EXPECT_EQ(first.table.blocks.size(), 2U);
  EXPECT_TRUE(cache.extend(first.table, 48));
}

TEST(KvCache, discarding_takes_everything_built_on_it) {
  KvCache cache(16, true, 1);
  {
    Held longer(cache, tokens(64));
    longer.commit();
  }
  Held running(cache, tokens(48));
  Held bad(cache, tokens(20));
  EXPECT_EQ(bad.matched, 16);
  cache.discard(bad.table);
  EXPECT_EQ(cache.index().size(), 0);
  EXPECT_TRUE(cache.consistent());
  // The one that still runs on these blocks keeps them, but nothing of it enters the index again.
  running.commit();
  EXPECT_EQ(cache.index().size(), 0);
  EXPECT_EQ(cache.pool().used(), 3);
}

TEST(KvCache, without_prefix_cache_nothing_stays) {
  KvCache cache(8, false, 1);
  {
    Held first(cache, tokens(32));
    first.commit();
  }
  EXPECT_EQ(cache.pool().free(), 8);
}

// Reach 31: a token sees its own block and two or three before it.
constexpr WindowOptions kWindow{8, 31};

// Computes `ids` in one step and commits them.
std::int32_t compute(KvCache& cache, BlockTable& table, const std::vector<std::int32_t>& ids) {
  const auto count = static_cast<std::int32_t>(ids.size());
  const std::int32_t matched = cache.match(table, ids, (count - 1) / 16);
  EXPECT_TRUE(cache.extend(table, count) && cache.extend_window(table, count));
  cache.commit(table, ids, count);
  return matched;
}

TEST(KvCacheWindow, blocks_behind_the_window_go_back_and_can_be_found_until_they_are_used_again) {
  KvCache cache(100, true, 1, kWindow);
  BlockTable table;
  cache.open(table, "", 100);
  const auto ids = tokens(16 * 6 + 1);
  compute(cache, table, ids);
  EXPECT_EQ(cache.window_pool().used(), 7);
  EXPECT_TRUE(cache.retire(table, 16 * 6 + 1, false));
  // (96 - 31) / 16 blocks that no token from 96 on sees.
  EXPECT_EQ(table.retired_count, 4);
  EXPECT_EQ(cache.window_pool().used(), 3);
  EXPECT_EQ(cache.window_pool().cached(), 4);
  EXPECT_EQ(cache.pool().used(), 7);
  EXPECT_FALSE(cache.retire(table, 16 * 6 + 1, true));
  EXPECT_TRUE(cache.consistent());

  BlockTable other;
  cache.open(other, "", 100);
  EXPECT_EQ(cache.match(other, tokens(16 * 3 + 1), 3), 48);
  EXPECT_EQ(other.retired_count, 1);
  EXPECT_EQ(other.window_blocks[1], cache.companion(other.blocks[1]));
  cache.close(other);
  cache.close(table);
  EXPECT_TRUE(cache.consistent());
  EXPECT_EQ(cache.window_pool().used(), 0);
}

TEST(KvCacheWindow, a_hit_ends_where_a_token_finds_its_window) {
  KvCache cache(100, true, 1, kWindow);
  BlockTable table;
  cache.open(table, "", 100);
  compute(cache, table, tokens(16 * 6));
  cache.close(table);
  // Takes all blocks but those of the last positions, which went back last.
  BlockTable greedy;
  cache.open(greedy, "", 100);
  ASSERT_TRUE(cache.extend_window(greedy, 16 * 6));
  EXPECT_TRUE(cache.consistent());
  BlockTable next;
  cache.open(next, "", 100);
  const auto longer = tokens(16 * 8);
  // Blocks 4 and 5 are there; a token behind six blocks sees (96 - 31) / 16 = 4 and on.
  EXPECT_EQ(cache.count_matches(next, longer, 7), 6);
  // One behind five blocks sees block 3, which is gone.
  EXPECT_EQ(cache.count_matches(next, longer, 5), 0);
  EXPECT_EQ(cache.match(next, longer, 7), 96);
  EXPECT_EQ(next.retired_count, 4);
  EXPECT_EQ(cache.window_pool().used(), 8);
  EXPECT_FALSE(cache.extend_window(next, 16 * 7));
  cache.close(greedy);
  EXPECT_TRUE(cache.extend_window(next, 16 * 7));
  cache.close(next);
  EXPECT_TRUE(cache.consistent());
}

TEST(KvCacheWindow, what_is_not_indexed_goes_back_only_when_asked_for) {
  KvCache cache(100, true, 1, kWindow);
  BlockTable table;
  cache.open(table, "", 100);
  ASSERT_TRUE(cache.extend(table, 16 * 6) && cache.extend_window(table, 16 * 6));
  EXPECT_FALSE(cache.retire(table, 16 * 6, false));
  EXPECT_TRUE(cache.retire(table, 16 * 6, true));
  EXPECT_EQ(cache.window_pool().free(), 6);
  // Committed later, blocks that are gone have no companion.
  cache.commit(table, tokens(16 * 6), 16 * 6);
  EXPECT_FALSE(cache.companion(table.blocks[3]).has_value());
  EXPECT_TRUE(cache.companion(table.blocks[4]).has_value());
  cache.close(table);
  EXPECT_TRUE(cache.consistent());

  KvCache plain(100, false, 1, kWindow);
  plain.open(table, "", 100);
  ASSERT_TRUE(plain.extend_window(table, 16 * 6));
  EXPECT_TRUE(plain.retire(table, 16 * 6, false));
  plain.close(table);
}

TEST(KvCacheWindow, companions_leave_the_index_with_their_owners) {
  KvCache cache(7, true, 1, kWindow);
  BlockTable table;
  cache.open(table, "", 100);
  compute(cache, table, tokens(16 * 6));
  cache.close(table);
  EXPECT_EQ(cache.window_pool().cached(), 6);
  // Takes the place of all of them in the index.
  cache.open(table, "", 100);
  ASSERT_TRUE(cache.extend(table, 16 * 7));
  EXPECT_EQ(cache.window_pool().cached(), 0);
  EXPECT_EQ(cache.window_pool().free(), 8);
  EXPECT_TRUE(cache.consistent());
  cache.close(table);

  cache.open(table, "", 100);
  compute(cache, table, tokens(16 * 3));
  cache.discard(table);
  EXPECT_EQ(cache.index().size(), 0);
  EXPECT_EQ(cache.window_pool().free(), 8);
  EXPECT_TRUE(cache.consistent());
  cache.close(table);
}

TEST(KvCacheWindow, equal_blocks_are_held_once_and_shared_with_choices) {
  KvCache cache(100, true, 1, kWindow);
  const auto ids = tokens(16 * 4);
  BlockTable first;
  BlockTable second;
  cache.open(first, "", 100);
  cache.open(second, "", 100);
  ASSERT_TRUE(cache.extend(first, 64) && cache.extend_window(first, 64));
  ASSERT_TRUE(cache.extend(second, 64) && cache.extend_window(second, 64));
  EXPECT_EQ(cache.window_pool().used(), 8);
  cache.commit(first, ids, 64);
  cache.commit(second, ids, 64);
  EXPECT_EQ(first.window_blocks, second.window_blocks);
  EXPECT_EQ(cache.window_pool().used(), 4);

  BlockTable choice;
  cache.open(choice, "", 100);
  cache.share(first, 4, choice);
  EXPECT_EQ(choice.retired_count, 2);
  EXPECT_EQ(cache.window_pool().reference_count(choice.window_blocks[3]), 3);
  for (BlockTable* table : {&first, &second, &choice}) cache.close(*table);
  EXPECT_TRUE(cache.consistent());
}

}  // namespace
}  // namespace inferneo::kv
