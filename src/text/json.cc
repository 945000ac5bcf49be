#include "text/json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/template/printing.h"

namespace inferneo::text {
namespace {

// Builds values from the parser's events. Returning false stops the parser; status() says why.
class ValueBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Result<Value> take() && {
    if (!status_.ok()) return std::move(status_);
    return std::move(root_);
  }

  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value <= INT64_MAX) return add(Value(static_cast<std::int64_t>(value)));
    return add(Value(static_cast<double>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return add(Value(value)); }
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(Value(Value::Dict())); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value(Value::List())); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Open& top = open_.back();
    if (!top.keys.insert(name).second) {
      status_ = invalid_argument(str("the JSON key '", printable(name), "' occurs twice"));
      return false;
    }
    top.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position,
                   const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library's text begins with "[json.exception...] parse error at line ...: ".
    std::string_view what = error.what();
    if (const std::size_t end = what.find(": "); end != what.npos) what.remove_prefix(end + 2);
    status_ = invalid_argument(str("invalid JSON at byte ", position, ": ", printable(what, 160)));
    return false;
  }

 private:
  struct Open {
    Value value;
    std::string key;  // of the member that comes next, in an object
    std::set<std::string> keys;
  };

  bool open(Value value) {
    if (open_.size() >= limits::kJsonDepthMax) {
      status_ = resource_exhausted(
          str("the JSON is nested more than ", limits::kJsonDepthMax, " levels deep"));
      return false;
    }
    open_.push_back({std::move(value), {}, {}});
    return true;
  }

  bool close() {
    Value value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  bool add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Open& top = open_.back();
    if (Value::List* list = top.value.as_list()) {
      list->push_back(std::move(value));
    } else {
      top.value.as_dict()->emplace_back(std::move(top.key), std::move(value));
    }
    return true;
  }

  Value root_;
  std::vector<Open> open_;
  Status status_;
};

// Reads and forgets; remembers where it had to stop.
class ErrorFinder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  [[nodiscard]] std::optional<std::size_t> position() const { return position_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position,
                   const std::string&,
                   const nlohmann::detail::exception&) override {
    position_ = position;
    return false;
  }

 private:
  std::optional<std::size_t> position_;  // bytes read, with the one that was wrong
};

void append_text(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::string clean = utf8::sanitize(text);
  out += '"';
  for (const char c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_json(std::string& out, const Value& value) {
  if (const bool* flag = value.as_bool()) {
    append_piece(out, *flag);
  } else if (const std::int64_t* number = value.as_int()) {
    append_piece(out, *number);
  } else if (const double* real = value.as_double(); real && std::isfinite(*real)) {
    out += jinja::float_text(*real);
  } else if (const std::string* text = value.as_string()) {
    append_text(out, *text);
  } else if (const Value::List* list = value.as_list()) {
    out += '[';
    for (const Value& item : *list) {
      if (&item != &list->front()) out += ',';
      append_json(out, item);
    }
    out += ']';
  } else if (const Value::Dict* dict = value.as_dict()) {
    out += '{';
    for (const auto& member : *dict) {
      if (&member != &dict->front()) out += ',';
      append_text(out, member.first);
      out += ':';
      append_json(out, member.second);
    }
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace

Result<Value> parse_json(std::string_view text) {
  ValueBuilder builder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder).take();
}

std::string syntax_error_place(std::string_view text) {
  ErrorFinder finder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  if (!finder.position()) return {};
  const std::size_t at = std::min(*finder.position(), text.size() + 1);
  const std::string_view before = text.substr(0, at == 0 ? 0 : at - 1);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return str("line ", line, ", column ", before.size() - line_begin + 1);
}

std::string to_json(const Value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace inferneo::text
