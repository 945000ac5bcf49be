// Takes weights by name with their expected shape and, at the end, refuses those that nobody took.
// The first failure is kept and returned by finish(), so that an architecture reads as the list of
// its weights. For the files of this folder.
// Thread: the owner's. Ownership: borrows the map.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/weight_map.h"

namespace inferneo::arch {

class WeightReader {
 public:
  explicit WeightReader(const tensor::WeightMap& weights) : weights_(weights) {}

  [[nodiscard]] bool has(std::string_view name) const { return weights_.find(name) != nullptr; }
  // A view of no elements when the weight is missing or wrong. Failures of finish(): corrupt_data
  // with the name, wanted and found shape; unsupported (element type).
  const tensor::TensorView& take(const std::string& name, const tensor::Shape& shape);
  // Passes over a weight that programs of the past stored and that is not needed.
  void ignore(const std::string& name) { taken_.insert(name); }
  [[nodiscard]] const Status& status() const { return status_; }
  // The first failure; corrupt_data naming a weight that was not taken.
  Status finish();

 private:
  void fail(Status status);

  const tensor::WeightMap& weights_;
  std::set<std::string, std::less<>> taken_;
  Status status_;
};

}  // namespace inferneo::arch
