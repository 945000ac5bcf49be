// A borrowed, contiguous, row-major tensor: what a mapped weight file offers.
// Thread: any. Ownership: borrows the data; the mapping or buffer must outlive it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace inferneo::tensor {

inline constexpr std::size_t kRankMax = 8;

// Dimensions, outermost first. Invariant: products fit in 63 bits (checked by the reader that
// makes the shape).
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims) : rank_(dims.size()) {
    CHECK(dims.size() <= kRankMax);
    for (std::size_t i = 0; i < dims.size(); ++i) dims_[i] = dims[i];
  }
  [[nodiscard]] std::size_t rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](std::size_t i) const { return dims_[i]; }
  [[nodiscard]] std::span<const std::int64_t> dims() const { return {dims_.data(), rank_}; }
  [[nodiscard]] std::int64_t element_count() const {
    std::int64_t count = 1;
    for (std::size_t i = 0; i < rank_; ++i) count *= dims_[i];
    return count;
  }
  bool operator==(const Shape& other) const { return rank_ == other.rank_ && dims_ == other.dims_; }
  // "[4096, 256]"
  [[nodiscard]] std::string to_string() const;

 private:
  std::size_t rank_ = 0;
  std::array<std::int64_t, kRankMax> dims_{};
};

struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  const std::byte* data = nullptr;
  // Of kMxfp4Apart: one byte for each block of the data, in the same order; null otherwise.
  const std::byte* scales = nullptr;

  [[nodiscard]] std::size_t byte_size() const {
    return static_cast<std::size_t>(shape.element_count() / dtype_block_elements(dtype)) *
           dtype_block_size(dtype);
  }
};

}  // namespace inferneo::tensor
