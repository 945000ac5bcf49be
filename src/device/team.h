// A team of threads that run one parallel section after another.
// Each worker has its own contiguous share of the items, the same at every section of that size (so
// that a processor reads the same weights step after step), and takes it in shrinking pieces; one
// that runs dry takes pieces of the others' shares. Taking part is optional: a worker that the
// operating system wakes too late finds no work and delays nobody, and when the workers' processors
// are busy with other processes the caller does the work alone (Payoff).
// Thread: run() from any thread, turns apart; the rest from the thread that made it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "device/next_read.h"
#include "device/payoff.h"
#include "device/turns.h"

namespace inferneo::device {

inline constexpr int kTeamSizeMax = 256;

class Team {
 public:
  using Body = void (*)(void* context, std::int64_t begin, std::int64_t end, int worker) noexcept;

  // Starts size - 1 threads "compute-1" .. ; the caller of run() is worker 0. Thread i is pinned to
  // processors[i], where there is one.
  explicit Team(int size, std::span<const int> processors = {});
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const { return size_; }

  // See CpuDevice::parallel_for. Must not be called from inside a body.
  void run(std::int64_t item_count,
           std::int64_t grain,
           Body body,
           void* context,
           const NextRead& next = {}) noexcept;

  [[nodiscard]] Turns& turns() { return turns_; }

  // Sections so far that had work for more than one thread, each a barrier.
  // Thread: any.
  [[nodiscard]] std::uint64_t section_count() const {
    return section_count_.load(std::memory_order_relaxed);
  }

 private:
  // A worker's share, in units of grain items: the next free unit in the low half, the end in the
  // high half. Alone in its cache lines (two, for the adjacent-line prefetcher).
  struct alignas(128) Share {
    std::atomic<std::uint64_t> range{0};
    std::atomic<const std::byte*> next_read{nullptr};
  };

  // Fetches what a thread reads next, in small pieces, while it has nothing else to do.
  class Fetcher {
   public:
    // Begins anew where another place is named. Whether there was anything to fetch.
    bool fetch(const std::byte* begin);

   private:
    const std::byte* begin_ = nullptr;
    std::int64_t fetched_ = 0;
  };

  struct Section {
    std::int64_t item_count = 0;
    std::int64_t grain = 0;
    std::int64_t unit_count = 0;
    Body body = nullptr;
    void* context = nullptr;
  };

  // First unit of a worker's share.
  [[nodiscard]] std::int64_t share_begin(std::int64_t unit_count, int worker) const {
    return unit_count * worker / size_;
  }
  void expect(const NextRead& next) noexcept;
  void fetch_or_pause(int worker, Fetcher& fetcher) noexcept;
  void work_until_stopped(int worker);
  void share(const Section& section, TimePoint start) noexcept;
  void open_section(const Section& section);
  void close_section();
  std::int64_t work(int worker) noexcept;
  std::int64_t take(int share, std::uint32_t keep_shift, int worker) noexcept;

  const int size_;
  std::unique_ptr<Share[]> shares_;
  // Written only while no section is open and nobody is inside.
  Section section_;
  std::uint64_t piece_size_min_ = 1;  // units

  Turns turns_;
  // Of the thread that has the turn.
  Payoff payoff_;
  Fetcher fetcher_;
  std::atomic<std::uint64_t> section_count_{0};

  // Generation of the section, one bit for open, and the number of threads inside (the caller not
  // counted).
  alignas(128) std::atomic<std::uint32_t> gate_{0};
  alignas(128) std::atomic<std::uint32_t> left_{0};  // counts workers that were last to leave
  std::atomic<bool> stopping_{false};
  std::vector<std::jthread> threads_;
};

}  // namespace inferneo::device
