// The name of one block of the paged key/value cache. Only ids travel between scheduler and
// runtime; the bytes belong to the runner.
#pragma once

#include <cstdint>

namespace inferneo::kv {

using BlockId = std::uint32_t;

}  // namespace inferneo::kv
