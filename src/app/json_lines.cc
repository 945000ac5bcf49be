#include "app/json_lines.h"

#include <algorithm>
#include <cstdio>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

// Why before parsing: the parser's own recursion and that of destructors is then bounded.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limits::kJsonDepthMax) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without its tag.
std::string_view without_tag(std::string_view what) {
  const std::size_t end = what.find("] ");
  return end == std::string_view::npos ? what : what.substr(end + 2);
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (too_deep(text)) {
    return invalid_argument(
        str("not valid JSON: nested deeper than ", limits::kJsonDepthMax, " levels"));
  }
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    return invalid_argument(str("not valid JSON: ", printable(without_tag(error.what()), 200)));
  }
}

text::Value to_value(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<std::int64_t>();
    case Json::value_t::number_unsigned: {
      const auto value = json.get<std::uint64_t>();
      if (value > static_cast<std::uint64_t>(INT64_MAX)) return static_cast<double>(value);
      return static_cast<std::int64_t>(value);
    }
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return json.get_ref<const std::string&>();
    case Json::value_t::array: {
      text::Value::List list;
      list.reserve(json.size());
      for (const Json& item : json) list.push_back(to_value(item));
      return list;
    }
    case Json::value_t::object: {
      text::Value::Dict dict;
      dict.reserve(json.size());
      for (const auto& [key, value] : json.items()) dict.emplace_back(key, to_value(value));
      return dict;
    }
    default:
      return {};
  }
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool answer_lines(std::istream& in, const std::function<Result<Json>(const std::string&)>& answer) {
  bool all_ok = true;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (std::ranges::all_of(line, [](char c) { return c == ' ' || c == '\t'; })) continue;
    Result<Json> result = answer(line);
    Json out;
    if (result.has_value()) {
      out = *std::move(result);
    } else {
      all_ok = false;
      out["error"] = result.error().message();
      out["line"] = number;
    }
    std::string text = dump(out) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  std::fflush(stdout);
  return all_ok;
}

}  // namespace inferneo::app
