#include "manager/memory_ledger.h"

#include "base/check.h"

namespace inferneo::manager {

std::uint64_t MemoryLedger::reserved_by(std::uint32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? 0 : found->second;
}

void MemoryLedger::reserve(std::uint32_t id, std::uint64_t bytes) {
  const std::uint64_t held = reserved_by(id);
  CHECK(bytes <= free_bytes() + held);
  reserved_bytes_ = reserved_bytes_ - held + bytes;
  if (bytes == 0) {
    by_id_.erase(id);
  } else {
    by_id_[id] = bytes;
  }
}

}  // namespace inferneo::manager
