#include "gateway/endpoints/keep_alive.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "gateway/endpoints/field.h"
#include "manager/served_model.h"

namespace inferneo::gateway::endpoints {
namespace {

constexpr double kYearSeconds = 365.0 * 24 * 3600;
constexpr std::string_view kExpected = "a number of seconds or a text such as \"5m\"";

Duration from_seconds(double seconds) {
  if (seconds < 0 || seconds > kYearSeconds) return manager::kKeepForever;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// Takes a unit off the front of `text`.
std::optional<double> take_unit(std::string_view& text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  constexpr Unit kUnits[] = {{"ms", 1e-3}, {"h", 3600}, {"m", 60}, {"s", 1}};
  for (const Unit& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.seconds;
  }
  return text.empty() ? std::optional(1.0) : std::nullopt;
}

// Spec: Go's time.ParseDuration, which Ollama uses, and a bare number for seconds.
std::optional<double> parse_seconds(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::optional<double> unit = take_unit(text);
    if (!unit) return std::nullopt;
    sum += number * *unit;
  }
  return is_negative ? -sum : sum;
}

}  // namespace

Result<Duration> read_keep_alive(const text::Value& value) {
  if (const std::int64_t* seconds = value.as_int()) {
    return from_seconds(static_cast<double>(*seconds));
  }
  if (const double* seconds = value.as_double(); seconds != nullptr && std::isfinite(*seconds)) {
    return from_seconds(*seconds);
  }
  if (const std::string* text = value.as_string()) {
    if (const std::optional<double> seconds = parse_seconds(*text)) return from_seconds(*seconds);
  }
  return wrong_value(kExpected, value);
}

}  // namespace inferneo::gateway::endpoints
