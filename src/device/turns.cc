#include "device/turns.h"

#include "base/check.h"

namespace inferneo::device {

void Turns::begin() {
  if (holder_.load(std::memory_order_relaxed) != std::this_thread::get_id()) {
    wait_for_turn();
    depth_ = 1;
    return;
  }
  if (waiting_.load(std::memory_order_relaxed) > 0 &&
      std::chrono::steady_clock::now() - since_ > kSlice) {
    const int depth = depth_;
    pass_on();
    wait_for_turn();
    depth_ = depth;
  }
  ++depth_;
}

void Turns::end() {
  DCHECK(holder_.load(std::memory_order_relaxed) == std::this_thread::get_id());
  if (--depth_ == 0) pass_on();
}

void Turns::wait_for_turn() {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  if (ticket != serving_) {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    changed_.wait(lock, [&] { return ticket == serving_; });
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  since_ = std::chrono::steady_clock::now();
  holder_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

void Turns::pass_on() {
  const std::lock_guard lock(mutex_);
  holder_.store(std::thread::id(), std::memory_order_relaxed);
  ++serving_;
  if (next_ticket_ != serving_) changed_.notify_all();
}

}  // namespace inferneo::device
