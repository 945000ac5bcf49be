// Zeroed memory from the operating system, page aligned and touched lazily: key/value caches,
// workspaces and other large buffers that must fail with a Status and not with an exception.
// Thread: any. Ownership: move-only, unmaps on destruction.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace inferneo {

class AnonymousMemory {
 public:
  AnonymousMemory() = default;
  // `what` names the buffer in the message. Failures: resource_exhausted with the sizes.
  static Result<AnonymousMemory> allocate(std::size_t size, std::string_view what);

  AnonymousMemory(AnonymousMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AnonymousMemory& operator=(AnonymousMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AnonymousMemory();

  // Of a part that begins at `offset`: `kept` bytes stay, the `dropped` bytes behind them go back
  // to the system and are zero when they are touched again. Whole pages only: what shares a page
  // with something that stays, stays.
  void keep(std::size_t offset, std::size_t kept, std::size_t dropped) const;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  AnonymousMemory(std::byte* data, std::size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace inferneo
