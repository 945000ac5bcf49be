// A bounded ring of token events from the engine thread to the output thread. All events of a step
// are published at once, so that the reader is woken at most once a step.
// When it is full, push() waits for the reader: tokens are never dropped.
// Thread: one producer, one consumer. After construction nothing allocates.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/token_event.h"

namespace inferneo::engine {

class EventRing {
 public:
  // Bound: `capacity` is rounded up to a power of two.
  explicit EventRing(std::uint32_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? 2U : capacity) - 1), cells_(mask_ + std::size_t{1}) {}

  // Producer. Blocks while the ring is full.
  void push(std::span<const TokenEvent> events);
  // Producer. How many events push() would take without waiting.
  [[nodiscard]] std::size_t space() const {
    return capacity() -
           (tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire));
  }

  // Consumer. Blocks until there is an event and returns those that lie in a row; they stay in
  // place until release().
  std::span<const TokenEvent> wait();
  // Consumer. The same without blocking; may be empty.
  [[nodiscard]] std::span<const TokenEvent> peek() const;
  // Consumer. Gives back the first `count` events.
  void release(std::size_t count);

  [[nodiscard]] std::size_t capacity() const { return mask_ + std::size_t{1}; }

 private:
  void publish(std::uint32_t tail);

  const std::uint32_t mask_;
  std::vector<TokenEvent> cells_;
  // Both count without end; their difference is the fill. 32 bits so that waiting is one futex.
  alignas(64) std::atomic<std::uint32_t> head_{0};
  alignas(64) std::atomic<std::uint32_t> tail_{0};
};

}  // namespace inferneo::engine
