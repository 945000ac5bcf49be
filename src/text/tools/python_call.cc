#include "text/tools/python_call.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "base/limits.h"
#include "base/utf8.h"
#include "text/json.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The place of the comma or bracket that ends the argument at `at`, or npos.
std::size_t argument_end(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  char quote = '\0';
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != '\0') {
      if (c == '\\') {
        ++at;
      } else if (c == quote) {
        quote = '\0';
      }
      continue;
    }
    if (c == '"' || c == '\'') quote = c;
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (depth == 0 && (c == ',' || c == ')')) return at;
    if (depth > 0 && (c == ')' || c == ']' || c == '}')) --depth;
  }
  return std::string_view::npos;
}

class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  Result<Value> read_all() {
    ASSIGN_OR_RETURN(Value value, read(0));
    skip_space();
    if (at_ != text_.size()) return fail();
    return value;
  }

 private:
  static Status fail() { return invalid_argument("not a literal of Python"); }
  void skip_space() {
    while (at_ < text_.size() && kSpace.find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Result<Value> read(std::size_t depth) {
    if (depth > limits::kJsonDepthMax) return fail();
    skip_space();
    if (at_ == text_.size()) return fail();
    const char c = text_[at_];
    if (c == '"' || c == '\'') return read_string();
    if (c == '[' || c == '(') return read_list(c == '[' ? ']' : ')', depth);
    if (c == '{') return read_dict(depth);
    return read_word();
  }

  Result<Value> read_word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           std::string_view(",)]}: \t\r\n").find(text_[at_]) == std::string_view::npos) {
      ++at_;
    }
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (word == "True" || word == "true") return Value(true);
    if (word == "False" || word == "false") return Value(false);
    if (word == "None" || word == "null") return Value();
    return parse_json(word);
  }

  Result<Value> read_list(char end, std::size_t depth) {
    ++at_;
    Value::List list;
    while (!take(end)) {
      if (!list.empty() && !take(',')) return fail();
      if (take(end)) break;
      ASSIGN_OR_RETURN(Value value, read(depth + 1));
      list.push_back(std::move(value));
    }
    return Value(std::move(list));
  }

  Result<Value> read_dict(std::size_t depth) {
    ++at_;
    Value::Dict dict;
    while (!take('}')) {
      if (!dict.empty() && !take(',')) return fail();
      if (take('}')) break;
      ASSIGN_OR_RETURN(const Value key, read(depth + 1));
      if (key.as_string() == nullptr || !take(':')) return fail();
      ASSIGN_OR_RETURN(Value value, read(depth + 1));
      dict.emplace_back(*key.as_string(), std::move(value));
    }
    return Value(std::move(dict));
  }

  Result<Value> read_string() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        out += text_[at_++];
        continue;
      }
      if (++at_ == text_.size()) return fail();
      append_escaped(text_[at_++], out);
    }
    if (at_ == text_.size()) return fail();
    ++at_;
    return Value(std::move(out));
  }

  // An escape that Python does not know keeps its backslash, as in Python.
  void append_escaped(char c, std::string& out) {
    switch (c) {
      case 'n':
        out += '\n';
        return;
      case 't':
        out += '\t';
        return;
      case 'r':
        out += '\r';
        return;
      case '\\':
      case '"':
      case '\'':
        out += c;
        return;
      case 'u':
        return append_code_point(4, c, out);
      case 'x':
        return append_code_point(2, c, out);
      default:
        out += '\\';
        out += c;
    }
  }

  void append_code_point(std::size_t digit_count, char kind, std::string& out) {
    std::uint32_t code = 0;
    const std::string_view digits = text_.substr(at_, digit_count);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() < digit_count || parsed.ptr != digits.data() + digits.size()) {
      out += '\\';
      out += kind;
      return;
    }
    at_ += digit_count;
    utf8::append(out, static_cast<char32_t>(code));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::string> python_literal_json(std::string_view literal) {
  ASSIGN_OR_RETURN(const Value value, LiteralReader(literal).read_all());
  return to_json(value);
}

bool PythonCall::push(std::string& pending, ReplyWriter& writer) {
  while (true) {
    const std::size_t end = argument_end(pending, 0);
    if (end == std::string::npos) return false;
    const bool is_last = pending[end] == ')';
    const std::string argument(trim(std::string_view(pending).substr(0, end)));
    pending.erase(0, end + 1);
    if (!argument.empty()) {
      const std::size_t equals = argument.find('=');
      const std::string_view key =
          equals == std::string::npos ? std::string_view() : trim(argument).substr(0, equals);
      const std::string_view value =
          trim(std::string_view(argument).substr(equals == std::string::npos ? 0 : equals + 1));
      const Result<std::string> json = python_literal_json(value);
      writer.arguments(std::exchange(has_arguments_, true) ? ", " : "{");
      writer.arguments(to_json(Value(trim(key))));
      writer.arguments(": ");
      // What is no literal (an expression) is passed on as its text.
      writer.arguments(json.has_value() ? *json : to_json(Value(value)));
    }
    if (is_last) {
      writer.arguments(has_arguments_ ? "}" : "{}");
      return true;
    }
  }
}

}  // namespace inferneo::text
