#include "arch/weight_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/str.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::arch {
namespace {

constexpr std::size_t kNameSizeMax = 160;
const tensor::TensorView kNoWeight;

// Quantised types are for matrices: the kernels read vectors as plain numbers.
bool is_supported(tensor::DType dtype, bool matrix) {
  using tensor::DType;
  if (dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16) return true;
  return matrix && tensor::find_quant_format(dtype) != nullptr;
}

std::string supported_types(bool matrix) {
  if (!matrix) return "f32, f16 and bf16 for a vector";
  std::string names = "f32, f16, bf16";
  for (const tensor::QuantFormat* format : tensor::quant_format_table()) {
    names += str(", ", tensor::dtype_name(format->dtype));
  }
  return names;
}

// What `pattern` leaves over of a name, and the numbers that its stars stand for. Absent when the
// name does not begin with the pattern as whole parts.
struct Match {
  std::array<std::string_view, 2> numbers;
  std::string_view rest;
};
std::optional<Match> match(std::string_view name, std::string_view pattern) {
  Match found{{}, name};
  for (std::size_t stars = 0;; ++stars) {
    const std::size_t star = pattern.find('*');
    const std::string_view literal = pattern.substr(0, star);
    if (!found.rest.starts_with(literal)) return std::nullopt;
    found.rest.remove_prefix(literal.size());
    if (star == pattern.npos) break;
    const std::size_t digits =
        std::min(found.rest.find_first_not_of("0123456789"), found.rest.size());
    if (digits == 0 || stars == found.numbers.size()) return std::nullopt;
    found.numbers[stars] = found.rest.substr(0, digits);
    found.rest.remove_prefix(digits);
    pattern.remove_prefix(star + 1);
  }
  if (!found.rest.empty() && found.rest.front() != '.') return std::nullopt;
  return found;
}

std::string fill_in(std::string_view pattern, const Match& found) {
  std::string name;
  for (const std::string_view number : found.numbers) {
    const std::size_t star = pattern.find('*');
    if (star == pattern.npos) break;
    name += str(pattern.substr(0, star), number);
    pattern.remove_prefix(star + 1);
  }
  return str(name, pattern, found.rest);
}

}  // namespace

void WeightReader::allow_other_prefix(std::string_view prefix,
                                      std::span<const std::string_view> others) {
  const auto is_there = [&](std::string_view candidate) {
    const auto first = weights_.entries().lower_bound(candidate);
    return first != weights_.entries().end() && first->first.starts_with(candidate);
  };
  prefix_.clear();
  if (is_there(prefix)) return;
  prefix_ = prefix;
  const auto found = std::find_if(others.begin(), others.end(), is_there);
  prefix_in_file_ = found == others.end() ? std::string() : std::string(*found);
}

std::string WeightReader::with_prefix_of_file(std::string name) const {
  if (!prefix_.empty() && name.starts_with(prefix_)) {
    name.replace(0, prefix_.size(), prefix_in_file_);
  }
  return name;
}

std::string WeightReader::name_in_file(std::string_view role) const {
  std::string name = spelled_as_today(role);
  // Files that come from TensorFlow call the vectors of norms so.
  for (const auto& [today, then] : {std::pair(".weight", ".gamma"), {".bias", ".beta"}}) {
    if (!name.ends_with(today) || weights_.find(name) != nullptr) continue;
    std::string old = str(name.substr(0, name.size() - std::string_view(today).size()), then);
    if (weights_.find(old) != nullptr) return old;
  }
  return name;
}

std::string WeightReader::spelled_as_today(std::string_view role) const {
  for (const std::span<const WeightName> names : {own_, shared_}) {
    for (const WeightName& known : names) {
      const std::optional<Match> found = match(role, known.role);
      if (found) return with_prefix_of_file(fill_in(known.in_file, *found));
    }
  }
  return with_prefix_of_file(std::string(role));
}

void WeightReader::ignore(std::string_view pattern) {
  const std::string bare = with_prefix_of_file(std::string(pattern));
  for (const auto& [name, view] : weights_.entries()) {
    const std::optional<Match> found = match(name, bare);
    if (found && found->rest.empty()) taken_.insert(name);
  }
}

void WeightReader::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

const tensor::TensorView& WeightReader::take(std::string_view asked,
                                             const tensor::Shape& shape,
                                             bool may_be_apart) {
  const std::string name = name_in_file(asked);
  const tensor::TensorView* view = weights_.find(name);
  if (view == nullptr) {
    fail(corrupt_data(str("tensor \"", name, "\" of shape ", shape.to_string(), " is missing")));
    return kNoWeight;
  }
  taken_.insert(name);
  if (view->shape != shape) {
    fail(corrupt_data(str("tensor \"",
                          name,
                          "\" has the shape ",
                          view->shape.to_string(),
                          ", but ",
                          asked_by_,
                          " asks for ",
                          shape.to_string())));
    return kNoWeight;
  }
  const bool matrix = shape.rank() >= 2;
  const tensor::DType dtype = may_be_apart ? tensor::dtype_of_blocks(view->dtype) : view->dtype;
  if (!is_supported(dtype, matrix)) {
    fail(unsupported(str("tensor \"",
                         name,
                         "\" has the element type ",
                         tensor::dtype_name(view->dtype),
                         "; the supported types are ",
                         supported_types(matrix))));
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
