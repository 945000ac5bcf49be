// The weights of a model by name, whatever file format they came from.
// Thread: any once filled. Ownership: holds borrowed views; the mapping must outlive it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "tensor/tensor_view.h"

namespace inferneo::tensor {

class WeightMap {
 public:
  using Entries = std::map<std::string, TensorView, std::less<>>;

  // False when the name is taken; nothing changes then.
  bool add(std::string name, const TensorView& view) {
    return entries_.emplace(std::move(name), view).second;
  }
  // Null when there is none.
  [[nodiscard]] const TensorView* find(std::string_view name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const Entries& entries() const { return entries_; }
  [[nodiscard]] Entries& entries() { return entries_; }

 private:
  Entries entries_;
};

}  // namespace inferneo::tensor
