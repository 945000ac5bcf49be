// The pass that every row of logits gets: largest element, its position, and whether all are
// usable. It is most of what the engine's thread does per token, so it is compiled for two
// widths of registers (a third, of 64 bytes, was not worth its code: 0.27 against 0.32 us).
#include <cstddef>
#include <cstdint>
#include <limits>

#include "sample/row.h"

namespace inferneo::sample {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Elements between two looks at where the largest stand. Why 64: enough registers to hide the
// latency of a comparison, and few elements are left to search at the end.
constexpr std::size_t kChunkSize = 64;

struct ChunkScan {
  bool usable = true;  // no NaN and no +inf
  float max = -kInfinity;
  std::int32_t chunk = 0;  // the first that holds the largest
};

// One register of floats and of as many integers.
using Floats4 = float __attribute__((vector_size(16)));
using Integers4 = std::int32_t __attribute__((vector_size(16)));
using Floats8 = float __attribute__((vector_size(32)));
using Integers8 = std::int32_t __attribute__((vector_size(32)));

// Why always inlined, and only arrays and built-ins inside: the body takes the instruction set of
// the function that it becomes a part of, and nothing of it may be shared with another.
template <typename Lanes, typename Masks>
__attribute__((always_inline)) inline void scan_chunks(const float* row,
                                                       std::size_t chunk_count,
                                                       ChunkScan& scan) {
  constexpr std::size_t kLaneCount = sizeof(Lanes) / sizeof(float);
  constexpr std::size_t kPartCount = kChunkSize / kLaneCount;
  const Lanes infinity = Lanes{} + kInfinity;
  // A lane keeps the first chunk that held its largest element.
  Lanes largest = -infinity;
  Masks chunk = {};
  Masks usable = ~Masks{};
  for (std::size_t i = 0; i < chunk_count; ++i) {
    Lanes most = -infinity;
    for (std::size_t part = 0; part < kPartCount; ++part) {
      Lanes x;
      __builtin_memcpy(&x, row + i * kChunkSize + part * kLaneCount, sizeof(x));
      // False for NaN as well. A NaN may hide a larger element: the row is unusable then anyway.
      usable &= x < infinity;
      most = x > most ? x : most;
    }
    const Masks is_larger = most > largest;
    largest = is_larger ? most : largest;
    chunk = is_larger ? Masks{} + static_cast<std::int32_t>(i) : chunk;
  }
  for (std::size_t lane = 0; lane < kLaneCount; ++lane) {
    if (usable[lane] == 0) scan.usable = false;
    if (largest[lane] > scan.max || (largest[lane] == scan.max && chunk[lane] < scan.chunk)) {
      scan.max = largest[lane];
      scan.chunk = chunk[lane];
    }
  }
}

using ScanChunks = void (*)(const float* row, std::size_t chunk_count, ChunkScan& scan);

void scan_baseline(const float* row, std::size_t chunk_count, ChunkScan& scan) {
  scan_chunks<Floats4, Integers4>(row, chunk_count, scan);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void scan_avx2(const float* row,
                                               std::size_t chunk_count,
                                               ChunkScan& scan) {
  scan_chunks<Floats8, Integers8>(row, chunk_count, scan);
}

ScanChunks fastest_scan() {
  if (__builtin_cpu_supports("avx2")) return scan_avx2;
  return scan_baseline;
}
#else
ScanChunks fastest_scan() { return scan_baseline; }
#endif

}  // namespace

RowScan scan_row(std::span<const float> row) {
  static const ScanChunks scan_fast = fastest_scan();
  const std::size_t chunk_count = row.size() / kChunkSize;
  ChunkScan chunks;
  scan_fast(row.data(), chunk_count, chunks);

  RowScan scan;
  scan.finite = chunks.usable;
  scan.max = chunks.max;
  std::size_t at = static_cast<std::size_t>(chunks.chunk) * kChunkSize;
  if (scan.finite && scan.max > -kInfinity) {
    while (row[at] != scan.max) ++at;
  }
  for (std::size_t i = chunk_count * kChunkSize; i < row.size(); ++i) {
    scan.finite = scan.finite && row[i] < kInfinity;
    if (row[i] > scan.max) {
      scan.max = row[i];
      at = i;
    }
  }
  scan.finite = scan.finite && scan.max > -kInfinity;
  if (scan.finite) scan.argmax = static_cast<TokenId>(at);
  return scan;
}

}  // namespace inferneo::sample
