// Memory of the training step: taken once, aligned for tiles and huge pages, zeroed.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace starter {

// Owns `count` values of T. Thread: any, no locking.
template <typename T>
class Buffer {
  static_assert(std::is_trivial_v<T>);

 public:
  Buffer() = default;

  explicit Buffer(size_t count) : count_(count) {
    constexpr size_t kHugePage = size_t{2} << 20;
    const size_t alignment = count * sizeof(T) >= kHugePage / 32 ? kHugePage : 64;
    const size_t size = (count * sizeof(T) + alignment - 1) / alignment * alignment;
    if (size == 0) return;
    values_.reset(static_cast<T*>(std::aligned_alloc(alignment, size)));
    if (values_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == kHugePage) madvise(values_.get(), size, MADV_HUGEPAGE);
#endif
    std::memset(static_cast<void*>(values_.get()), 0, size);
  }

  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }
  size_t count() const { return count_; }

 private:
  struct Free {
    void operator()(T* values) const { std::free(values); }
  };
  std::unique_ptr<T, Free> values_;
  size_t count_ = 0;
};

}  // namespace starter
