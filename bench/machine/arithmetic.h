// Loops that keep one kind of instruction busy on registers alone: the arithmetic limits that
// benchmark results are given as a share of. Independent of the kernels that are measured.
// Thread: any; a loop uses the calling thread only.
#pragma once

#include <cstdint>
#include <span>

namespace inferneo::bench {

struct ArithmeticLoop {
  const char* name = nullptr;  // key in the output
  double ops_per_round = 0;    // multiply and add count as two
  void (*run)(std::int64_t rounds) = nullptr;
};

// Those that this processor runs. The first call asks the kernel for the tile registers.
std::span<const ArithmeticLoop> arithmetic_loops();

}  // namespace inferneo::bench
