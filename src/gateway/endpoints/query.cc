#include "gateway/endpoints/query.h"

#include <algorithm>
#include <charconv>

#include "base/str.h"

namespace inferneo::gateway::endpoints {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
               hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (decode(pair.substr(0, equals)) == name) {
      return equals == std::string_view::npos ? std::string() : decode(pair.substr(equals + 1));
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::vector<std::string> query_names(std::string_view query) {
  std::vector<std::string> names;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    if (!pair.empty()) names.push_back(decode(pair.substr(0, pair.find('='))));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return names;
}

Result<std::int64_t> query_integer(std::string_view query,
                                   std::string_view name,
                                   std::int64_t min,
                                   std::int64_t max,
                                   std::int64_t initial) {
  const std::optional<std::string> text = query_value(query, name);
  if (!text) return initial;
  std::int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, value);
  if (parsed.ec == std::errc() && parsed.ptr == end && value >= min && value <= max) return value;
  return invalid_argument(str("'", name, "' must be an integer from ", min, " to ", max))
      .with_where(std::string(name));
}

}  // namespace inferneo::gateway::endpoints
