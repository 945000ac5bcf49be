// Filters that make numbers.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/str.h"
#include "text/template/characters.h"
#include "text/template/filters.h"
#include "text/template/methods.h"
#include "text/template/operators.h"

namespace inferneo::text::jinja {
namespace {

// Removes single underscores between digits; absent when one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto is_digit_at = [&](std::size_t at) {
      return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1)) return std::nullopt;
  }
  return out;
}

// int(text, base) of Python.
std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  const auto cleaned = without_underscores(strip(text));
  if (!cleaned || cleaned->empty()) return std::nullopt;
  std::string_view digits = *cleaned;
  const bool negative = digits[0] == '-';
  if (negative || digits[0] == '+') digits.remove_prefix(1);
  const auto skip_prefix = [&](std::string_view lower_case, std::string_view upper_case) {
    if (digits.starts_with(lower_case) || digits.starts_with(upper_case)) digits.remove_prefix(2);
  };
  if (base == 16) skip_prefix("0x", "0X");
  if (base == 8) skip_prefix("0o", "0O");
  if (base == 2) skip_prefix("0b", "0B");
  if (digits.empty() || digits[0] == '-') return std::nullopt;
  const std::string number = str(negative ? "-" : "", digits);
  std::int64_t value = 0;
  const auto result = std::from_chars(number.data(), number.data() + number.size(), value, base);
  if (result.ec != std::errc() || result.ptr != number.data() + number.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  const auto cleaned = without_underscores(strip(text));
  if (!cleaned || cleaned->empty()) return std::nullopt;
  std::string_view digits = *cleaned;
  if (digits[0] == '+') digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '+' || digits.starts_with("nan(")) return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ptr != digits.data() + digits.size()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {
    return std::strtod(std::string(digits).c_str(), nullptr);
  }
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<Object> truncated(double value) {
  if (!(std::abs(value) < 0x1p63)) return std::nullopt;
  return Object(static_cast<std::int64_t>(value));
}

Result<Object> to_int(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("int", arguments, {"default", "base"}, 0));
  const Object fallback = bound[0].value_or(Object(std::int64_t{0}));
  std::int64_t base = 10;
  if (bound[1]) {
    ASSIGN_OR_RETURN(base, integer_argument("int", *bound[1]));
    if (base < 2 || base > 36) return invalid_argument("int() base must be >= 2 and <= 36");
  }
  if (input.is_undefined()) return undefined_error(input);
  if (const auto number = integer_of(input)) return Object(*number);
  if (const double* number = input.as_double()) {
    if (const auto value = truncated(*number)) return *value;
    if (std::isnan(*number)) return fallback;
    return invalid_argument("cannot convert this float to a 64-bit integer");
  }
  const Text* text = input.as_text();
  if (!text) return fallback;
  RETURN_IF_ERROR(evaluation.work(text->bytes.size()));
  if (const auto number = parse_integer(text->bytes, static_cast<int>(base))) {
    return Object(*number);
  }
  if (const auto number = parse_float(text->bytes)) {
    if (const auto value = truncated(*number)) return *value;
  }
  return fallback;
}

Result<Object> to_float(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("float", arguments, {"default"}, 0));
  const Object fallback = bound[0].value_or(Object(0.0));
  if (input.is_undefined()) return undefined_error(input);
  if (const auto number = number_of(input)) return Object(*number);
  const Text* text = input.as_text();
  if (!text) return fallback;
  RETURN_IF_ERROR(evaluation.work(text->bytes.size()));
  if (const auto number = parse_float(text->bytes)) return Object(*number);
  return fallback;
}

Result<Object> absolute(Evaluation&, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("abs", arguments, {}, 0).status());
  if (input.is_undefined()) return undefined_error(input);
  if (const auto number = integer_of(input)) {
    return *number < 0 ? negate(input) : Result<Object>(Object(*number));
  }
  if (const double* number = input.as_double()) return Object(std::abs(*number));
  return invalid_argument(str("bad operand type for abs(): '", type_name(input), "'"));
}

// Python rounds the exact decimal value, halves to even: as printf does.
double round_decimal(double value, std::int64_t precision) {
  if (precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::isinf(scale) ? 0.0 * value : std::nearbyint(value / scale) * scale;
  }
  // A double has at most 1074 digits after the point.
  if (precision > 1100 || !std::isfinite(value)) return value;
  std::string text(static_cast<std::size_t>(precision) + 330, '\0');
  std::snprintf(text.data(), text.size(), "%.*f", static_cast<int>(precision), value);
  return std::strtod(text.c_str(), nullptr);
}

Result<Object> round_filter(Evaluation&, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("round", arguments, {"precision", "method"}, 0));
  if (input.is_undefined()) return undefined_error(input);
  std::int64_t precision = 0;
  if (bound[0]) {
    ASSIGN_OR_RETURN(precision, integer_argument("round", *bound[0]));
    precision = std::clamp<std::int64_t>(precision, -400, 1200);
  }
  std::string method = "common";
  if (bound[1]) {
    ASSIGN_OR_RETURN(const Text* text, text_argument("round", *bound[1]));
    method = text->bytes;
  }
  if (method != "common" && method != "ceil" && method != "floor") {
    return invalid_argument("method must be common, ceil or floor");
  }
  const auto number = number_of(input);
  if (!number) {
    return invalid_argument(str("type ", type_name(input), " doesn't define __round__ method"));
  }
  if (method == "common") {
    if (const auto integer = integer_of(input); integer && precision >= 0) return Object(*integer);
    const double rounded = round_decimal(*number, precision);
    if (integer_of(input)) return truncated(rounded).value_or(input);
    return Object(rounded);
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = *number * scale;
  return Object((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

constexpr auto kFilters = std::to_array<Filter>({
    {"abs", absolute},
    {"float", to_float},
    {"int", to_int},
    {"round", round_filter},
});

}  // namespace

std::span<const Filter> number_filters() { return kFilters; }

}  // namespace inferneo::text::jinja
