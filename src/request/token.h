// The token id type that every stage of the request path shares.
// Thread: any (plain values).
#pragma once

#include <cstdint>

namespace inferneo {

// Index into a model's vocabulary; valid ids are 0 .. vocab_size-1.
using TokenId = std::int32_t;

}  // namespace inferneo
