// The small vectors of a program as f32: long ones are read in place where the file holds aligned
// f32, all others are copied once.
// Thread: any once created. Ownership: owns what it converts, borrows the rest.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/program.h"

namespace inferneo::graph {

class Constants {
 public:
  explicit Constants(const Program& program);
  // Null for kNone.
  [[nodiscard]] const float* find(ConstantId id) const {
    return id == kNone ? nullptr : pointers_[static_cast<std::size_t>(id)];
  }
  // Bytes that creation would write, and that it would read in place.
  struct Sizes {
    std::uint64_t converted = 0;
    std::uint64_t in_place = 0;
  };
  static Sizes sizes(const Program& program);

 private:
  std::vector<std::vector<float>> converted_;
  std::vector<const float*> pointers_;
};

}  // namespace inferneo::graph
