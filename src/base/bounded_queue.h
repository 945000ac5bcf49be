// A bounded multi-producer multi-consumer ring. A full queue refuses (try_push returns false and
// leaves the value with the caller); what then happens is the caller's written answer. Consumers
// may block in wait_pop_for.
// Why: each cell carries a sequence number, so producers and consumers meet only on two counters
// and no lock is taken on the fast path (Dmitry Vyukov, bounded MPMC queue, 2010).
// Thread: any. Ownership: holds T by value; T needs a noexcept move.
#pragma once

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <semaphore>
#include <utility>

#include "base/check.h"

namespace inferneo {

template <typename T>
class BoundedQueue {
 public:
  // Bound: `capacity` is rounded up to a power of two, at least 2.
  explicit BoundedQueue(std::size_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? std::size_t{2} : capacity) - 1),
        cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    for (std::size_t i = 0; i <= mask_; ++i) cells_[i].sequence.store(i, std::memory_order_relaxed);
  }

  // Takes `value` only on success.
  bool try_push(T& value) {
    std::size_t at = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[at & mask_];
      const std::size_t sequence = cell.sequence.load(std::memory_order_acquire);
      if (sequence == at) {
        if (tail_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) {
          cell.value.emplace(std::move(value));
          cell.sequence.store(at + 1, std::memory_order_release);
          available_.release();
          return true;
        }
      } else if (sequence < at) {
        return false;
      } else {
        at = tail_.load(std::memory_order_relaxed);
      }
    }
  }
  bool try_push(T&& value) { return try_push(value); }

  std::optional<T> try_pop() {
    if (!available_.try_acquire()) return std::nullopt;
    return take();
  }

  // Blocks up to `timeout`; empty when nothing came.
  template <typename Rep, typename Period>
  std::optional<T> wait_pop_for(std::chrono::duration<Rep, Period> timeout) {
    if (!available_.try_acquire_for(timeout)) return std::nullopt;
    return take();
  }

  // A snapshot that may be stale when it returns; for gauges and admission only.
  [[nodiscard]] std::size_t size_approx() const {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t head = head_.load(std::memory_order_relaxed);
    return tail > head ? tail - head : 0;
  }
  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }

 private:
  struct Cell {
    std::atomic<std::size_t> sequence{0};
    std::optional<T> value;
  };

  // Precondition: one permit of available_ is held. A permit counts a published cell, but not
  // necessarily the one at head: a slower producer may still be writing that, so wait for it.
  std::optional<T> take() {
    const std::size_t at = head_.fetch_add(1, std::memory_order_relaxed);
    Cell& cell = cells_[at & mask_];
    while (cell.sequence.load(std::memory_order_acquire) != at + 1) {
    }
    std::optional<T> value(std::move(cell.value));
    cell.value.reset();
    cell.sequence.store(at + mask_ + 1, std::memory_order_release);
    return value;
  }

  const std::size_t mask_;
  std::unique_ptr<Cell[]> cells_;
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::counting_semaphore<> available_{0};
};

}  // namespace inferneo
