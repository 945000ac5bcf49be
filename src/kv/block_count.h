// How many blocks tokens occupy. Thread: any (pure functions).
#pragma once

#include <cstdint>

#include "base/limits.h"

namespace inferneo::kv {

// Window blocks that a sequence needs at most at a time to compute `token_count` tokens in one
// step, where a token sees `reach` before its own: those of the tokens and of the keys before them,
// of which either end is part of a block, and a block that KvCache::retire leaves.
constexpr std::int32_t window_blocks_for(std::int32_t reach, std::int64_t token_count) {
  constexpr std::int64_t kSize = limits::kKvBlockSizeTokens;
  return static_cast<std::int32_t>((reach + token_count + kSize - 1) / kSize) + 2;
}

}  // namespace inferneo::kv
