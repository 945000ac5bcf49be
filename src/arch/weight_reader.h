// Takes weights by role with their expected shape and, at the end, refuses those that nobody took.
// The first failure is kept and returned by finish(), so that an architecture reads as the list of
// its weights. For the files of this folder.
// Thread: the owner's. Ownership: borrows the map and the tables of names.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/weight_names.h"
#include "base/status.h"
#include "tensor/weight_map.h"

namespace inferneo::arch {

class WeightReader {
 public:
  // Looks a role up in `own` and then in `shared`; names that are in neither are those of the file.
  // Messages use the names of the file. `asked_by` says in messages what asks for shapes.
  WeightReader(const tensor::WeightMap& weights,
               std::span<const WeightName> own,
               std::span<const WeightName> shared,
               std::string_view asked_by)
      : weights_(weights), own_(own), shared_(shared), asked_by_(asked_by) {}

  // Names that begin with `prefix` begin with the first of `others` in its place, or with nothing,
  // if no weight begins with it: files of the bare model lack the prefix that its weights have
  // within a model with a head.
  void allow_other_prefix(std::string_view prefix, std::span<const std::string_view> others = {});

  [[nodiscard]] bool has(std::string_view role) const { return find(role) != nullptr; }
  // Null when there is none.
  [[nodiscard]] const tensor::TensorView* find(std::string_view role) const {
    return weights_.find(name_in_file(role));
  }
  // A view of no elements when the weight is missing or wrong. Failures of finish(): corrupt_data
  // with the name, wanted and found shape; unsupported (element type).
  const tensor::TensorView& take(std::string_view role, const tensor::Shape& shape) {
    return take(role, shape, /*may_be_apart=*/false);
  }
  // The same for what becomes a MatrixSource alone: its scales may lie in a tensor of their own.
  const tensor::TensorView& take_matrices(std::string_view role, const tensor::Shape& shape) {
    return take(role, shape, /*may_be_apart=*/true);
  }
  // Passes over weights that programs of the past stored and that are not needed; each `*` stands
  // for a number.
  void ignore(std::string_view pattern);
  // Keeps a failure that the caller has found, unless there is an earlier one.
  void fail(Status status);
  [[nodiscard]] const Status& status() const { return status_; }
  // The first failure; corrupt_data naming a weight that was not taken.
  Status finish();

 private:
  const tensor::TensorView& take(std::string_view role,
                                 const tensor::Shape& shape,
                                 bool may_be_apart);
  [[nodiscard]] std::string name_in_file(std::string_view role) const;
  [[nodiscard]] std::string spelled_as_today(std::string_view role) const;
  [[nodiscard]] std::string with_prefix_of_file(std::string name) const;

  const tensor::WeightMap& weights_;
  std::span<const WeightName> own_;
  std::span<const WeightName> shared_;
  std::string_view asked_by_;
  std::string prefix_;          // in names
  std::string prefix_in_file_;  // in its place
  std::set<std::string, std::less<>> taken_;
  Status status_;
};

}  // namespace inferneo::arch
