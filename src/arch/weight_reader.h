// Takes weights by name with their expected shape and, at the end, refuses those that nobody took.
// The first failure is kept and returned by finish(), so that an architecture reads as the list of
// its weights. For the files of this folder.
// Thread: the owner's. Ownership: borrows the map.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/weight_map.h"

namespace inferneo::arch {

// How a kind of file calls the weights of an architecture: both names without what follows the last
// of their parts (".weight"); `*` stands for the number of a layer.
struct WeightName {
  std::string_view name;
  std::string_view in_file;
};

class WeightReader {
 public:
  // Weights are asked for by the names of the architecture; `names`, which must outlive the reader,
  // translates those that the file spells differently. Messages use the names of the file.
  explicit WeightReader(const tensor::WeightMap& weights, std::span<const WeightName> names = {})
      : weights_(weights), names_(names) {}

  [[nodiscard]] bool has(std::string_view name) const {
    return weights_.find(name_in_file(name)) != nullptr;
  }
  // A view of no elements when the weight is missing or wrong. Failures of finish(): corrupt_data
  // with the name, wanted and found shape; unsupported (element type).
  const tensor::TensorView& take(std::string_view name, const tensor::Shape& shape);
  // Passes over a weight that programs of the past stored and that is not needed.
  void ignore(std::string_view name) { taken_.insert(name_in_file(name)); }
  [[nodiscard]] const Status& status() const { return status_; }
  // The first failure; corrupt_data naming a weight that was not taken.
  Status finish();

 private:
  void fail(Status status);
  [[nodiscard]] std::string name_in_file(std::string_view name) const;

  const tensor::WeightMap& weights_;
  std::span<const WeightName> names_;
  std::set<std::string, std::less<>> taken_;
  Status status_;
};

}  // namespace inferneo::arch
