// What this machine can do at most, measured now: the figures that benchmark results are given as a
// share of. Shared machines change from minute to minute, so measure in the same run.
// Thread: any; uses the device's threads and holds no state.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/result.h"
#include "device/cpu.h"

namespace inferneo::device {

struct LimitsOptions {
  // Read in turn by all threads. Why so large: it must not fit the last-level cache (32 to 480
  // MiB).
  std::size_t buffer_bytes = std::size_t{1} << 30;
  std::chrono::milliseconds time_per_limit{300};
};

// Rates of all threads together, the best of several tries. Why the best: other work on the machine
// only lowers a rate.
struct Limits {
  double read_bytes_per_s = 0;
  double f32_flop_per_s = 0;   // multiply and add count as two
  double bf16_flop_per_s = 0;  // of the table's fastest: AMX tiles, vdpbf16ps, or f32 multiply-add
  // The same with operands loaded from L1 for each product; 0 where that is no slower.
  double bf16_loaded_flop_per_s = 0;
  // Of the 512-bit dot product vdpbf16ps, whatever the table uses; 0 on tables without it.
  double bf16_dot_flop_per_s = 0;
  // Operations on bytes by the dot product that matrices of codes use; 0 on tables without one.
  double int8_op_per_s = 0;
  double empty_section_s = 0;  // CpuDevice::parallel_for without work, median
};

// Failures: resource_exhausted when the buffer does not fit in memory.
Result<Limits> measure_limits(CpuDevice& cpu, const LimitsOptions& options);

}  // namespace inferneo::device
