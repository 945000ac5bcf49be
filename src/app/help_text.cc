#include "app/help_text.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>

#include "base/str.h"

namespace inferneo::app {
namespace {

constexpr std::size_t kColumnWidth = 38;

// "--x{true},--no-x{false}" says what the parser stores; a reader needs the names.
class NameFormatter final : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    for (const std::string_view stored : {"{true}", "{false}"}) {
      const std::size_t at = name.find(stored);
      if (at != std::string::npos) name.erase(at, stored.size());
    }
    return name;
  }
};

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

void set_help_form(CLI::App& app) {
  auto formatter = std::make_shared<NameFormatter>();
  formatter->column_width(kColumnWidth);
  app.formatter(formatter);
}

std::function<std::string(const std::string&)> number_in(double min,
                                                         double max,
                                                         std::string_view range) {
  return [=](const std::string& text) {
    const std::optional<double> value = parse_number(text);
    if (value && *value >= min && *value <= max) return std::string();
    return str("must be a number, ", range, ", but is '", printable(text), "'");
  };
}

std::function<std::string(const std::string&)> integer_in(double min,
                                                          double max,
                                                          std::string_view range) {
  return [=](const std::string& text) {
    const std::optional<double> value = parse_number(text);
    const bool is_whole = text.find_first_of(".eE") == std::string::npos;
    if (value && is_whole && *value >= min && *value <= max) return std::string();
    return str("must be a whole number, ", range, ", but is '", printable(text), "'");
  };
}

}  // namespace inferneo::app
