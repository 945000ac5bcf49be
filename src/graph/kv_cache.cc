#include "graph/kv_cache.h"

#include <limits>
#include <utility>

#include "base/str.h"

namespace inferneo::graph {

Result<KvCache> KvCache::allocate(const Program& program, std::int64_t block_count) {
  const std::uint64_t block_size = kv_block_size(program);
  const auto count = static_cast<std::uint64_t>(block_count);
  if (block_count < 1 || count > std::numeric_limits<std::int64_t>::max() / block_size) {
    return resource_exhausted(str("a key/value cache of ",
                                  block_count,
                                  " blocks of ",
                                  block_size,
                                  " bytes cannot be addressed"));
  }
  KvCache cache;
  ASSIGN_OR_RETURN(
      cache.memory_,
      AnonymousMemory::allocate(
          count * block_size,
          str("the key/value cache (", block_count, " blocks of ", block_size, " bytes)")));
  cache.plane_size_ = cache.memory_.size() / static_cast<std::size_t>(program.attention.layers) / 2;
  return cache;
}

}  // namespace inferneo::graph
