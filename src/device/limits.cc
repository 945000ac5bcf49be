#include "device/limits.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "base/str.h"

namespace inferneo::device {
namespace {

using Seconds = std::chrono::duration<double>;

double seconds_since(TimePoint start) {
  return to_seconds(std::chrono::steady_clock::now() - start);
}

// Sums `size` bytes read as `streams` parallel runs of equal length, each fetched ahead. Why
// several runs: a memory controller serves one run of addresses more slowly than many, and a linear
// layer reads many rows at once too.
std::uint64_t sum_of(const std::byte* data, std::size_t size, std::size_t streams) {
  using Line = std::uint64_t __attribute__((vector_size(64)));
  constexpr std::size_t kFetchAhead = 1024;  // bytes: some 100 ns at 10 GB/s a run
  const std::size_t run = size / streams / sizeof(Line) * sizeof(Line);
  Line sums[4] = {};
  for (std::size_t at = 0; at < run; at += sizeof(Line)) {
    for (std::size_t i = 0; i < streams; ++i) {
      const std::byte* from = data + i * run + at;
      __builtin_prefetch(from + kFetchAhead);
      Line line;
      std::memcpy(&line, from, sizeof(Line));
      sums[i % 4] += line;
    }
  }
  const Line all = sums[0] + sums[1] + sums[2] + sums[3];
  std::uint64_t total = 0;
  for (int i = 0; i < 8; ++i) total += all[i];
  return total;
}

// Repeats `measure`, which returns a rate, for the given time; the best rate.
template <typename Measure>
double best_rate(std::chrono::milliseconds time, const Measure& measure) {
  const TimePoint start = std::chrono::steady_clock::now();
  double best = 0;
  do {
    best = std::max(best, measure());
  } while (seconds_since(start) < Seconds(time).count());
  return best;
}

double read_rate(CpuDevice& cpu, const std::byte* buffer, std::size_t size, std::size_t streams) {
  constexpr std::int64_t kPiece = 1 << 20;
  std::atomic<std::uint64_t> sink{0};
  auto body = [&](std::int64_t begin, std::int64_t end, int) {
    sink +=
        sum_of(buffer + begin * kPiece, static_cast<std::size_t>((end - begin) * kPiece), streams);
  };
  const TimePoint start = std::chrono::steady_clock::now();
  cpu.parallel_for(static_cast<std::int64_t>(size) / kPiece, 1, body);
  return static_cast<double>(size) / seconds_since(start);
}

// Enough rounds for about 10 ms a thread, found by doubling.
std::int64_t rounds_for(double (*spin)(std::int64_t) noexcept) {
  std::int64_t rounds = 1024;
  while (true) {
    const TimePoint start = std::chrono::steady_clock::now();
    (void)spin(rounds);
    if (seconds_since(start) > 5e-3) return 2 * rounds;
    rounds *= 2;
  }
}

double spin_rate(CpuDevice& cpu, double (*spin)(std::int64_t) noexcept, std::int64_t rounds) {
  std::atomic<double> done{0};
  auto body = [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) done += spin(rounds);
  };
  const TimePoint start = std::chrono::steady_clock::now();
  cpu.parallel_for(cpu.thread_count(), 1, body);
  return done.load() / seconds_since(start);
}

double median_empty_section(CpuDevice& cpu) {
  constexpr std::size_t kTries = 2001;
  std::vector<double> times(kTries);
  auto nothing = [](std::int64_t, std::int64_t, int) {};
  for (double& time : times) {
    const TimePoint start = std::chrono::steady_clock::now();
    cpu.parallel_for(cpu.thread_count(), 1, nothing);
    time = seconds_since(start);
  }
  std::nth_element(times.begin(), times.begin() + kTries / 2, times.end());
  return times[kTries / 2];
}

// Anonymous pages, every one written: pages never written all map to one page of zeros.
struct Pages {
  explicit Pages(std::size_t bytes) : size(bytes) {
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return;
    data = static_cast<std::byte*>(p);
    // As the weights of a large model: without huge pages, misses of the TLB are part of the rate.
    madvise(data, size, MADV_HUGEPAGE);
    std::memset(data, 1, size);
  }
  ~Pages() {
    if (data != nullptr) munmap(data, size);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data = nullptr;
  std::size_t size;
};

}  // namespace

Result<Limits> measure_limits(CpuDevice& cpu, const LimitsOptions& options) {
  const Pages pages(options.buffer_bytes);
  if (pages.data == nullptr) {
    return Status(StatusCode::kResourceExhausted,
                  str("no memory for a buffer of ", options.buffer_bytes, " bytes"),
                  "free some memory or measure with a smaller buffer");
  }

  Limits limits;
  limits.empty_section_s = median_empty_section(cpu);
  limits.read_bytes_per_s = best_rate(options.time_per_limit, [&] {
    double best = 0;
    for (const std::size_t streams : {1, 4, 8, 16}) {
      best = std::max(best, read_rate(cpu, pages.data, options.buffer_bytes, streams));
    }
    return best;
  });
  const auto spin_limit = [&](double (*spin)(std::int64_t) noexcept) {
    const std::int64_t rounds = rounds_for(spin);
    return best_rate(options.time_per_limit, [&] { return spin_rate(cpu, spin, rounds); });
  };
  limits.f32_flop_per_s = spin_limit(cpu.kernels().spin_f32);
  limits.bf16_flop_per_s = spin_limit(cpu.kernels().spin_bf16);
  if (cpu.kernels().spin_bf16_loaded != nullptr) {
    limits.bf16_loaded_flop_per_s = spin_limit(cpu.kernels().spin_bf16_loaded);
  }
  if (cpu.kernels().spin_bf16_dot != nullptr) {
    limits.bf16_dot_flop_per_s = spin_limit(cpu.kernels().spin_bf16_dot);
  }
  if (cpu.kernels().spin_int8 != nullptr) {
    limits.int8_op_per_s = spin_limit(cpu.kernels().spin_int8);
  }
  return limits;
}

}  // namespace inferneo::device
