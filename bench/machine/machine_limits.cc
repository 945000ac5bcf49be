// The machine as a process that bench/compare asks, one line on stdin at a time:
//   probe      a fixed integer loop and a short read sweep: was anything else running just now?
//   ceilings   read bandwidth and arithmetic peaks of all threads together
// Answers are one JSON object a line.
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "arithmetic.h"

namespace inferneo::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Some 50 ms at 3 GHz. Why fixed: times of different runs compare, and so show that the machine was
// busy during all of one run.
constexpr std::int64_t kIntegerRounds = 30'000'000;
constexpr double kReadSweepSeconds = 0.200;
// Larger than the last-level cache of any machine this is likely to run on, so that the sweep reads
// memory.
constexpr std::size_t kBufferBytes = std::size_t{1} << 30;

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof(set), &set);
}

// Runs body(thread) on one pinned thread a processor, started together. Seconds from the common
// start to the end of the slowest.
double on_all(const std::vector<int>& cpus, const std::function<void(std::size_t)>& body) {
  const auto count = static_cast<std::ptrdiff_t>(cpus.size());
  std::barrier start(count);
  std::vector<double> seconds(cpus.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      threads.emplace_back([&, i] {
        pin_to(cpus[i]);
        start.arrive_and_wait();
        const auto begin = Clock::now();
        body(i);
        seconds[i] = Seconds(Clock::now() - begin).count();
      });
    }
  }
  return *std::max_element(seconds.begin(), seconds.end());
}

// Dependent multiplications: time that depends on the clock and on being scheduled, on nothing
// else.
std::uint64_t integer_loop(std::int64_t rounds) {
  std::uint64_t x = 1;
  for (std::int64_t i = 0; i < rounds; ++i) {
    x = x * 6364136223846793005U + 1442695040888963407U;
    asm volatile("" : "+r"(x));
  }
  return x;
}

class Machine {
 public:
  Machine() : cpus_(allowed_cpus()) {
    void* memory =
        mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::fputs("machine_limits: no memory for the read sweep\n", stderr);
      std::exit(1);
    }
    madvise(memory, kBufferBytes, MADV_HUGEPAGE);
    buffer_ = static_cast<const std::byte*>(memory);
    const std::size_t part = kBufferBytes / cpus_.size();
    on_all(cpus_, [&](std::size_t i) {
      std::memset(static_cast<std::byte*>(memory) + i * part, 1, part);
    });
  }

  [[nodiscard]] std::size_t threads() const { return cpus_.size(); }

  double integer_seconds() {
    return on_all(cpus_, [&](std::size_t) { integer_loop(kIntegerRounds); });
  }

  // Bytes a second of all threads, each reading its own part of the buffer again and again.
  double read_rate(double seconds, std::size_t streams, std::size_t fetch_ahead) {
    const std::size_t part = kBufferBytes / cpus_.size();
    std::vector<double> rates(cpus_.size());
    on_all(cpus_, [&](std::size_t i) {
      rates[i] = read_for(buffer_ + i * part, part, seconds, streams, fetch_ahead);
    });
    double sum = 0;
    for (const double rate : rates) sum += rate;
    return sum;
  }

  // Operations a second of all threads; the best of several tries, since other work only lowers it.
  double arithmetic_rate(const ArithmeticLoop& loop, double seconds) {
    constexpr double kTry = 0.02;
    std::int64_t rounds = 1000;
    for (double took = 0; took < kTry; rounds *= 2) {
      took = on_all(cpus_, [&](std::size_t) { loop.run(rounds); });
    }
    double best = 0;
    const auto end = Clock::now() + Seconds(seconds);
    do {
      const double took = on_all(cpus_, [&](std::size_t) { loop.run(rounds); });
      const double ops = loop.ops_per_round * static_cast<double>(rounds);
      best = std::max(best, ops * static_cast<double>(cpus_.size()) / took);
    } while (Clock::now() < end);
    return best;
  }

 private:
  // Reads `bytes` as `streams` runs side by side. Why several: a memory controller serves many runs
  // of addresses faster than one.
  static double read_for(const std::byte* data,
                         std::size_t bytes,
                         double seconds,
                         std::size_t streams,
                         std::size_t fetch_ahead) {
    using Line = std::uint64_t __attribute__((vector_size(64)));
    constexpr std::size_t kPiece = std::size_t{4} << 20;
    Line sums[4] = {};
    const auto begin = Clock::now();
    std::size_t done = 0;
    double took = 0;
    while (took < seconds) {
      const std::byte* piece = data + done % (bytes / kPiece * kPiece);
      const std::size_t run = kPiece / streams;
      for (std::size_t at = 0; at < run; at += sizeof(Line)) {
        for (std::size_t s = 0; s < streams; ++s) {
          const std::byte* from = piece + s * run + at;
          if (fetch_ahead != 0) __builtin_prefetch(from + fetch_ahead);
          Line line;
          std::memcpy(&line, from, sizeof(Line));
          sums[s % 4] += line;
        }
      }
      done += kPiece;
      took = Seconds(Clock::now() - begin).count();
    }
    const Line all = sums[0] + sums[1] + sums[2] + sums[3];
    std::uint64_t kept = all[0] ^ all[5];
    asm volatile("" : "+r"(kept));
    return static_cast<double>(done) / took;
  }

  std::vector<int> cpus_;
  const std::byte* buffer_ = nullptr;
};

void print_probe(Machine& machine) {
  const double integer = machine.integer_seconds();
  const double read = machine.read_rate(kReadSweepSeconds, 4, 1024);
  std::printf("{\"integer_s\": %.6f, \"read_bytes_per_s\": %.4g}\n", integer, read);
}

void print_ceilings(Machine& machine) {
  double read = 0;
  for (const std::size_t streams : {std::size_t{1}, std::size_t{4}, std::size_t{8}}) {
    for (const std::size_t ahead : {std::size_t{0}, std::size_t{1024}}) {
      read = std::max(read, machine.read_rate(kReadSweepSeconds, streams, ahead));
    }
  }
  std::printf("{\"threads\": %zu, \"read_bytes_per_s\": %.5g", machine.threads(), read);
  for (const ArithmeticLoop& loop : arithmetic_loops()) {
    std::printf(", \"%s_op_per_s\": %.5g", loop.name, machine.arithmetic_rate(loop, 0.15));
  }
  std::puts("}");
}

void serve() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Machine machine;
  std::puts("{\"ready\": true}");
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "probe") {
      print_probe(machine);
    } else if (line == "ceilings") {
      print_ceilings(machine);
    } else {
      std::puts("{\"error\": \"unknown line; probe or ceilings\"}");
    }
  }
}

}  // namespace
}  // namespace inferneo::bench

int main() { inferneo::bench::serve(); }
