#include "gateway/endpoints/field.h"

#include <limits>

#include "base/check.h"

namespace inferneo::gateway::endpoints {
namespace {

std::string describe(const text::Value& value) {
  if (const std::int64_t* integer = value.as_int()) return str(*integer);
  if (const double* number = value.as_double()) return str(*number);
  if (value.as_bool() != nullptr) return "a boolean";
  // Why not longer ones: they may be what a user wrote, which errors do not repeat.
  constexpr std::size_t kShownSizeMax = 24;
  if (const std::string* text = value.as_string()) {
    return text->size() <= kShownSizeMax ? str("the string '", printable(*text), "'") : "a string";
  }
  if (value.as_list() != nullptr) return "a list";
  if (value.as_dict() != nullptr) return "an object";
  return "null";
}

}  // namespace

Status wrong_value(std::string_view expected, const text::Value& value) {
  return invalid_argument(str("must be ", expected, ", but is ", describe(value)));
}

Result<bool> read_bool(const text::Value& value) {
  if (const bool* boolean = value.as_bool()) return *boolean;
  return wrong_value("true or false", value);
}

Result<std::int64_t> read_integer(const text::Value& value, std::int64_t min, std::int64_t max) {
  const std::int64_t* integer = value.as_int();
  if (integer != nullptr && *integer >= min && *integer <= max) return *integer;
  if (max == std::numeric_limits<std::int32_t>::max() ||
      max == std::numeric_limits<std::int64_t>::max()) {
    return wrong_value(min == std::numeric_limits<std::int64_t>::min()
                           ? "an integer of 64 bits"
                           : str("an integer of at least ", min),
                       value);
  }
  return wrong_value(str("an integer from ", min, " to ", max), value);
}

Result<std::int32_t> read_int32(const text::Value& value, std::int64_t min, std::int64_t max) {
  CHECK(min >= std::numeric_limits<std::int32_t>::min() &&
        max <= std::numeric_limits<std::int32_t>::max());
  ASSIGN_OR_RETURN(const std::int64_t integer, read_integer(value, min, max));
  return static_cast<std::int32_t>(integer);
}

Result<float> read_number(const text::Value& value, NumberRange range) {
  double number = std::numeric_limits<double>::quiet_NaN();
  if (const std::int64_t* integer = value.as_int()) number = static_cast<double>(*integer);
  if (const double* real = value.as_double()) number = *real;
  const bool above = range.min_excluded ? number > range.min : number >= range.min;
  if (above && number <= range.max) return static_cast<float>(number);
  return wrong_value(range.min_excluded
                         ? str("a number above ", range.min, " and at most ", range.max)
                         : str("a number from ", range.min, " to ", range.max),
                     value);
}

Result<std::string> take_string(text::Value& value, std::size_t size_max) {
  const std::string* text = value.as_string();
  if (text == nullptr) return wrong_value("a string", value);
  if (text->size() > size_max) {
    return invalid_argument(
        str("is a string of ", text->size(), " bytes, but at most ", size_max, " are accepted"));
  }
  return *text;
}

Status at_field(Status status, std::string_view name) {
  if (status.ok()) return status;
  std::string where = status.where().empty() ? std::string(name) : status.where();
  const std::string context = str("'", where, "'");
  return std::move(status).with_context(context).with_where(std::move(where));
}

Status refused_field(const FieldRow& field) {
  return unsupported(str("'", field.name, "' is not supported: ", field.note))
      .with_where(std::string(field.name));
}

Status unknown_field(std::string_view name, std::span<const std::string_view> known) {
  const std::string_view near = nearest_name(name, known);
  const std::string shown = printable(name);
  return invalid_argument(str("unknown field '",
                              shown,
                              "'",
                              near.empty() ? std::string() : str("; did you mean '", near, "'?")))
      .with_where(shown);
}

}  // namespace inferneo::gateway::endpoints
