#include "device/team.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "base/check.h"
#include "base/str.h"
#include "base/thread.h"

namespace inferneo::device {
namespace {

constexpr std::uint32_t kInsideMask = 0xffff;
constexpr std::uint32_t kOpen = 1U << 16;
constexpr std::uint32_t kGeneration = 1U << 17;

// Bound: how long a thread spins before it parks. Why: the gap between two sections of a decode
// step is a few microseconds, a park and wake costs 5 to 50; between steps the processor is free
// for others.
constexpr std::chrono::microseconds kSpinTime{40};
// A worker that finds no work for so long lets others go first while it spins on. Why not at once:
// on a shared processor a yield costs a time slice, and between two sections work is about to come.
constexpr std::chrono::microseconds kSpinAloneTime{15};
// A yield that takes this long let another thread run: the processor is wanted.
constexpr std::chrono::microseconds kYieldTimeMax{10};

// Bound: sections shorter than this are all overhead and say nothing about the processors.
constexpr std::chrono::microseconds kJudgedSectionMin{4};

// Bound: a share of what is read next may be far larger than the cache, which holds what is worked
// on as well.
constexpr std::int64_t kFetchBytes = 512 * 1024;
// Bytes at a time: few enough to see within a few hundred nanoseconds that the wait is over.
constexpr std::int64_t kFetchPiece = 512;

TimePoint now() { return std::chrono::steady_clock::now(); }

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// Spins until `done()` or the bound, doing `idle()` meanwhile; returns whether done. With
// `yielding`, lets other threads of this processor go first after a while, and gives up when there
// are any.
template <typename Done, typename Idle>
bool spin_until(const Done& done, const Idle& idle, bool yielding) {
  const TimePoint start = now();
  TimePoint last = start;
  while (last - start < kSpinTime) {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      idle();
    }
    last = now();
    if (yielding && last - start > kSpinAloneTime) {
      sched_yield();
      if (now() - last > kYieldTimeMax) break;
    }
  }
  return done();
}

void pin_to(std::jthread& thread, int processor) {
  const auto count = static_cast<std::size_t>(processor) + 1;
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(
      CPU_ALLOC(count), [](cpu_set_t* set) { CPU_FREE(set); });
  if (mask == nullptr) return;
  CPU_ZERO_S(CPU_ALLOC_SIZE(count), mask.get());
  CPU_SET_S(static_cast<std::size_t>(processor), CPU_ALLOC_SIZE(count), mask.get());
  // Best effort: a container may forbid it, and the team works unpinned.
  (void)pthread_setaffinity_np(thread.native_handle(), CPU_ALLOC_SIZE(count), mask.get());
}

std::uint64_t pack(std::uint64_t next, std::uint64_t end) { return next | (end << 32); }

}  // namespace

bool Team::Fetcher::fetch(const std::byte* begin) {
  if (begin != begin_) fetched_ = 0;
  begin_ = begin;
  if (begin == nullptr || fetched_ >= kFetchBytes) return false;
  for (const std::int64_t end = fetched_ + kFetchPiece; fetched_ < end; fetched_ += 64) {
    __builtin_prefetch(begin + fetched_, 0, 2);
  }
  return true;
}

Team::Team(int size, std::span<const int> processors)
    : size_(size), shares_(std::make_unique<Share[]>(static_cast<size_t>(size))) {
  CHECK(size >= 1 && size <= kTeamSizeMax);
  for (int worker = 1; worker < size; ++worker) {
    threads_.emplace_back([this, worker] { work_until_stopped(worker); });
    if (static_cast<std::size_t>(worker) < processors.size()) {
      pin_to(threads_.back(), processors[static_cast<std::size_t>(worker)]);
    }
  }
}

Team::~Team() {
  stopping_.store(true, std::memory_order_release);
  gate_.fetch_add(kGeneration, std::memory_order_release);
  gate_.notify_all();
}

void Team::run(std::int64_t item_count,
               std::int64_t grain,
               Body body,
               void* context,
               const NextRead& next) noexcept {
  if (item_count <= 0) return;
  CHECK(grain > 0);
  turns_.begin();
  if (next.data != nullptr) expect(next);
  if (size_ == 1 || item_count <= grain) {
    body(context, 0, item_count, 0);
  } else {
    section_count_.store(section_count() + 1, std::memory_order_relaxed);
    const TimePoint start = now();
    if (payoff_.worth_sharing(start)) {
      // A unit index takes 32 bits; sections beyond that get coarser units.
      while ((item_count - 1) / grain >= INT32_MAX) grain *= 2;
      share({item_count, grain, (item_count + grain - 1) / grain, body, context}, start);
    } else {
      body(context, 0, item_count, 0);
    }
  }
  turns_.end();
}

void Team::share(const Section& section, TimePoint start) noexcept {
  open_section(section);
  const std::int64_t units_done = work(0);
  const TimePoint worked = now();
  close_section();
  const TimePoint closed = now();
  if (units_done == 0 || closed - start < kJudgedSectionMin) return;
  const auto alone = std::chrono::duration_cast<Payoff::Duration>(
      (worked - start) * static_cast<double>(section.unit_count) / static_cast<double>(units_done));
  payoff_.record(alone, closed - start, closed);
}

void Team::expect(const NextRead& next) noexcept {
  const std::int64_t unit_count = (next.item_count + next.grain - 1) / next.grain;
  for (int worker = 0; worker < size_; ++worker) {
    const std::int64_t item = share_begin(unit_count, worker) * next.grain;
    shares_[static_cast<std::size_t>(worker)].next_read.store(next.data + item * next.item_size,
                                                              std::memory_order_relaxed);
  }
}

void Team::fetch_or_pause(int worker, Fetcher& fetcher) noexcept {
  const Share& share = shares_[static_cast<std::size_t>(worker)];
  if (!fetcher.fetch(share.next_read.load(std::memory_order_relaxed))) pause_briefly();
}

void Team::open_section(const Section& section) {
  section_ = section;
  piece_size_min_ = static_cast<std::uint64_t>((section.unit_count / size_ + 31) / 32);
  for (int worker = 0; worker < size_; ++worker) {
    const auto begin = static_cast<std::uint64_t>(share_begin(section.unit_count, worker));
    const auto end = static_cast<std::uint64_t>(share_begin(section.unit_count, worker + 1));
    shares_[static_cast<std::size_t>(worker)].range.store(pack(begin, end),
                                                          std::memory_order_relaxed);
  }
  gate_.fetch_add(kGeneration | kOpen, std::memory_order_release);
  gate_.notify_all();
}

// All units are taken when the caller gets here, so only workers that are inside hold any.
void Team::close_section() {
  gate_.fetch_sub(kOpen, std::memory_order_acq_rel);
  const auto empty = [this] { return (gate_.load(std::memory_order_acquire) & kInsideMask) == 0; };
  // Why without yielding: the worker needs a few microseconds more, a yield would cost the caller a
  // whole time slice when another process shares its processor.
  const auto idle = [this] { fetch_or_pause(0, fetcher_); };
  while (!spin_until(empty, idle, false)) {
    const std::uint32_t left = left_.load(std::memory_order_acquire);
    if (empty()) return;
    left_.wait(left, std::memory_order_acquire);
  }
}

void Team::work_until_stopped(int worker) {
  set_thread_name(str("compute-", worker));
  Fetcher fetcher;
  const auto idle = [&] { fetch_or_pause(worker, fetcher); };
  std::uint32_t seen = 0;  // generation of the last section this worker took part in
  while (!stopping_.load(std::memory_order_acquire)) {
    std::uint32_t gate = gate_.load(std::memory_order_acquire);
    const auto worth_entering = [&] {
      gate = gate_.load(std::memory_order_acquire);
      return ((gate & kOpen) != 0 && gate / kGeneration != seen) ||
             stopping_.load(std::memory_order_relaxed);
    };
    if (!spin_until(worth_entering, idle, true)) {
      gate_.wait(gate, std::memory_order_acquire);
      continue;
    }
    if ((gate & kOpen) == 0 ||
        !gate_.compare_exchange_strong(gate, gate + 1, std::memory_order_acq_rel)) {
      continue;
    }
    seen = gate / kGeneration;
    work(worker);
    const std::uint32_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & (kOpen | kInsideMask)) == 1) {
      left_.fetch_add(1, std::memory_order_acq_rel);
      left_.notify_one();
    }
  }
}

// Returns how many units this worker did.
std::int64_t Team::work(int worker) noexcept {
  std::int64_t done = 0;
  // The own share goes in a piece of three quarters and two of an eighth: few calls, long
  // contiguous reads, and a tail that others can take when this processor is slow.
  while (const std::int64_t units = take(worker, 2, worker)) done += units;
  for (int i = 1; i < size_; ++i) {
    const int victim = (worker + i) % size_;
    while (const std::int64_t units = take(victim, 1, worker)) done += units;
  }
  return done;
}

// Runs the next piece of a share: all that is left but 1 / 2^keep_shift of it. Returns its units,
// 0 when the share is used up.
std::int64_t Team::take(int share, std::uint32_t keep_shift, int worker) noexcept {
  std::atomic<std::uint64_t>& range = shares_[static_cast<std::size_t>(share)].range;
  std::uint64_t old = range.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  std::uint64_t piece_end = 0;
  do {
    next = old & 0xffffffff;
    const std::uint64_t end = old >> 32;
    if (next >= end) return 0;
    piece_end = end - ((end - next) >> keep_shift);
    if (piece_end - next < piece_size_min_) piece_end = std::min(end, next + piece_size_min_);
  } while (
      !range.compare_exchange_weak(old, pack(piece_end, old >> 32), std::memory_order_relaxed));
  const std::int64_t begin = static_cast<std::int64_t>(next) * section_.grain;
  const std::int64_t end =
      std::min(static_cast<std::int64_t>(piece_end) * section_.grain, section_.item_count);
  section_.body(section_.context, begin, end, worker);
  return static_cast<std::int64_t>(piece_end - next);
}

}  // namespace inferneo::device
