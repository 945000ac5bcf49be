#include "arch/weight_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/str.h"

namespace inferneo::arch {
namespace {

constexpr std::size_t kNameSizeMax = 160;
const tensor::TensorView kNoWeight;

// What `pattern` leaves over of `name`, and the number that its `*` stands for. Absent when `name`
// does not begin with the pattern as a whole part.
struct Match {
  std::string_view number;
  std::string_view rest;
};
std::optional<Match> match(std::string_view name, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  const std::string_view before = pattern.substr(0, star);
  if (!name.starts_with(before)) return std::nullopt;
  Match found{{}, name.substr(before.size())};
  if (star != pattern.npos) {
    const std::size_t digits = std::min(found.rest.find_first_not_of("0123456789"), name.size());
    found.number = found.rest.substr(0, digits);
    found.rest = found.rest.substr(found.number.size());
    const std::string_view after = pattern.substr(star + 1);
    if (found.number.empty() || !found.rest.starts_with(after)) return std::nullopt;
    found.rest = found.rest.substr(after.size());
  }
  if (!found.rest.empty() && found.rest.front() != '.') return std::nullopt;
  return found;
}

}  // namespace

std::string WeightReader::name_in_file(std::string_view name) const {
  for (const WeightName& known : names_) {
    const std::optional<Match> found = match(name, known.name);
    if (!found) continue;
    const std::size_t star = known.in_file.find('*');
    if (star == known.in_file.npos) return str(known.in_file, found->rest);
    return str(
        known.in_file.substr(0, star), found->number, known.in_file.substr(star + 1), found->rest);
  }
  return std::string(name);
}

void WeightReader::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

const tensor::TensorView& WeightReader::take(std::string_view asked, const tensor::Shape& shape) {
  const std::string name = name_in_file(asked);
  const tensor::TensorView* view = weights_.find(name);
  if (view == nullptr) {
    fail(corrupt_data(str("tensor \"", name, "\" of shape ", shape.to_string(), " is missing")));
    return kNoWeight;
  }
  taken_.insert(name);
  if (view->shape != shape) {
    fail(corrupt_data(
        str("tensor \"",
            name,
            "\" has the shape ",
            view->shape.to_string(),
            names_.empty() ? ", but config.json asks for " : ", but the metadata asks for ",
            shape.to_string())));
    return kNoWeight;
  }
  using tensor::DType;
  if (view->dtype != DType::kF32 && view->dtype != DType::kF16 && view->dtype != DType::kBf16) {
    fail(unsupported(str("tensor \"",
                         name,
                         "\" has the element type ",
                         tensor::dtype_name(view->dtype),
                         "; the supported types are f32, f16 and bf16")));
    return kNoWeight;
  }
  return *view;
}

Status WeightReader::finish() {
  for (const auto& [name, view] : weights_.entries()) {
    if (!taken_.contains(name)) {
      fail(corrupt_data(str("tensor \"",
                            printable(name, kNameSizeMax),
                            "\" of shape ",
                            view.shape.to_string(),
                            " has no place in this architecture")));
    }
  }
  return status_;
}

}  // namespace inferneo::arch
