// Typed access to the metadata of a GGUF file.
#include <limits>

#include "base/str.h"
#include "formats/gguf.h"

namespace inferneo::formats {
namespace {

std::string_view type_text(const GgufValue& value) {
  struct Text {
    std::string_view operator()(std::int64_t) const { return "an integer"; }
    std::string_view operator()(std::uint64_t) const { return "an unsigned integer"; }
    std::string_view operator()(double) const { return "a float"; }
    std::string_view operator()(bool) const { return "a bool"; }
    std::string_view operator()(std::string_view) const { return "a string"; }
    std::string_view operator()(const GgufNumbers& numbers) const {
      return numbers.index() == 0 ? "an array of integers" : "an array of floats";
    }
    std::string_view operator()(const std::vector<std::string_view>&) const {
      return "an array of strings";
    }
  };
  return std::visit(Text{}, value);
}

Status wrong_type(std::string_view key, std::string_view wanted, const GgufValue& value) {
  return corrupt_data(
      str("key \"", printable(key), "\" should be ", wanted, ", but is ", type_text(value)));
}

}  // namespace

Result<std::optional<std::int64_t>> GgufMetadata::integer(std::string_view key) const {
  using Found = std::optional<std::int64_t>;
  const GgufValue* value = find(key);
  if (value == nullptr) return Found();
  if (const auto* number = std::get_if<std::int64_t>(value)) return Found(*number);
  const auto* number = std::get_if<std::uint64_t>(value);
  if (number == nullptr) return wrong_type(key, "an integer", *value);
  if (*number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return corrupt_data(
        str("key \"", printable(key), "\" is ", *number, ", which does not fit in 63 bits"));
  }
  return Found(static_cast<std::int64_t>(*number));
}

Result<std::optional<double>> GgufMetadata::number(std::string_view key) const {
  using Found = std::optional<double>;
  const GgufValue* value = find(key);
  if (value == nullptr) return Found();
  if (const auto* number = std::get_if<double>(value)) return Found(*number);
  if (const auto* number = std::get_if<std::int64_t>(value)) {
    return Found(static_cast<double>(*number));
  }
  if (const auto* number = std::get_if<std::uint64_t>(value)) {
    return Found(static_cast<double>(*number));
  }
  return wrong_type(key, "a number", *value);
}

Result<std::optional<bool>> GgufMetadata::boolean(std::string_view key) const {
  using Found = std::optional<bool>;
  const GgufValue* value = find(key);
  if (value == nullptr) return Found();
  if (const auto* found = std::get_if<bool>(value)) return Found(*found);
  return wrong_type(key, "a bool", *value);
}

Result<std::optional<std::string_view>> GgufMetadata::text(std::string_view key) const {
  using Found = std::optional<std::string_view>;
  const GgufValue* value = find(key);
  if (value == nullptr) return Found();
  if (const auto* found = std::get_if<std::string_view>(value)) return Found(*found);
  return wrong_type(key, "a string", *value);
}

Result<const std::vector<std::string_view>*> GgufMetadata::texts(std::string_view key) const {
  using Found = const std::vector<std::string_view>*;
  const GgufValue* value = find(key);
  if (value == nullptr) return Found(nullptr);
  if (const auto* found = std::get_if<std::vector<std::string_view>>(value)) return Found(found);
  return wrong_type(key, "an array of strings", *value);
}

Result<const GgufNumbers*> GgufMetadata::numbers(std::string_view key) const {
  using Found = const GgufNumbers*;
  const GgufValue* value = find(key);
  if (value == nullptr) return Found(nullptr);
  if (const auto* found = std::get_if<GgufNumbers>(value)) return Found(found);
  return wrong_type(key, "an array of numbers", *value);
}

}  // namespace inferneo::formats
