// Who holds how much of the one memory budget of all models. Bytes are reserved before a load
// begins and given back after the memory was, so the sum never passes the budget.
// Thread: control (plain values).
#pragma once

#include <cstdint>
#include <map>

namespace inferneo::manager {

class MemoryLedger {
 public:
  explicit MemoryLedger(std::uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_bytes_; }
  [[nodiscard]] std::uint64_t reserved_bytes() const { return reserved_bytes_; }
  [[nodiscard]] std::uint64_t free_bytes() const { return budget_bytes_ - reserved_bytes_; }
  [[nodiscard]] std::uint64_t reserved_by(std::uint32_t id) const;
  // Sets what `id` holds. Precondition: it fits (free_bytes() plus what it held).
  void reserve(std::uint32_t id, std::uint64_t bytes);
  void release(std::uint32_t id) { reserve(id, 0); }

 private:
  std::uint64_t budget_bytes_;
  std::uint64_t reserved_bytes_ = 0;
  std::map<std::uint32_t, std::uint64_t> by_id_;
};

}  // namespace inferneo::manager
