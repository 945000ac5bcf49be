// The sum of all request bodies in memory, received or being received, and its bound. Bytes are
// taken as they arrive, not as a client announces them: announcing costs a client nothing.
// Thread: any. Ownership: reservations share the budget, because a handler may hold a request for
// longer than the server lives.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace inferneo::gateway::http {

class BodyBudget {
 public:
  explicit BodyBudget(std::size_t size_max) : size_max_(size_max) {}

  // False, and nothing taken, when the bound would be passed.
  bool take(std::size_t size) {
    if (used_.fetch_add(size, std::memory_order_relaxed) + size <= size_max_) return true;
    give_back(size);
    return false;
  }
  void give_back(std::size_t size) { used_.fetch_sub(size, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const std::size_t size_max_;
  std::atomic<std::size_t> used_{0};
};

// What one body has taken; given back at its end.
class BodyReservation {
 public:
  BodyReservation() = default;
  explicit BodyReservation(std::shared_ptr<BodyBudget> budget) : budget_(std::move(budget)) {}
  BodyReservation(BodyReservation&& other) noexcept
      : budget_(std::move(other.budget_)), size_(std::exchange(other.size_, 0)) {}
  BodyReservation& operator=(BodyReservation&& other) noexcept {
    if (this == &other) return *this;
    release();
    budget_ = std::move(other.budget_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~BodyReservation() { release(); }

  // The body now has `size` bytes, at least as many as before. False when there is no room.
  // Precondition: made with a budget.
  bool grow_to(std::size_t size) {
    if (!budget_->take(size - size_)) return false;
    size_ = size;
    return true;
  }

 private:
  void release() {
    if (size_ > 0) budget_->give_back(size_);
    size_ = 0;
  }

  std::shared_ptr<BodyBudget> budget_;
  std::size_t size_ = 0;
};

}  // namespace inferneo::gateway::http
