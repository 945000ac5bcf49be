#include "engine/event_ring.h"

#include <algorithm>

namespace inferneo::engine {

void EventRing::push(std::span<const TokenEvent> events) {
  std::uint32_t tail = tail_.load(std::memory_order_relaxed);
  for (const TokenEvent& event : events) {
    std::uint32_t head = head_.load(std::memory_order_acquire);
    while (tail - head > mask_) {
      publish(tail);
      head_.wait(head, std::memory_order_acquire);
      head = head_.load(std::memory_order_acquire);
    }
    cells_[tail & mask_] = event;
    ++tail;
  }
  publish(tail);
}

std::span<const TokenEvent> EventRing::wait() {
  const std::uint32_t head = head_.load(std::memory_order_relaxed);
  tail_.wait(head, std::memory_order_acquire);
  return peek();
}

std::span<const TokenEvent> EventRing::peek() const {
  const std::uint32_t head = head_.load(std::memory_order_relaxed);
  const std::uint32_t fill = tail_.load(std::memory_order_acquire) - head;
  const std::uint32_t begin = head & mask_;
  return std::span(cells_).subspan(begin, std::min(fill, mask_ + 1 - begin));
}

void EventRing::release(std::size_t count) {
  head_.fetch_add(static_cast<std::uint32_t>(count), std::memory_order_release);
  head_.notify_one();
}

void EventRing::publish(std::uint32_t tail) {
  if (tail == tail_.load(std::memory_order_relaxed)) return;
  tail_.store(tail, std::memory_order_release);
  tail_.notify_one();
}

}  // namespace inferneo::engine
