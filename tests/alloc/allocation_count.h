// Counts what operator new hands out, per thread. Linking allocation_count.cc replaces the global
// operators of the program.
#pragma once

#include <cstdint>

namespace inferneo {

// Allocations of the calling thread so far.
std::uint64_t allocation_count();

}  // namespace inferneo
