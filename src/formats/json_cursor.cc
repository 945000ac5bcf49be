#include "formats/json_cursor.h"

#include <limits>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::formats {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Status JsonCursor::failure(std::string_view what) const {
  return corrupt_data(str("JSON: ", what, " at byte ", position()));
}

void JsonCursor::skip_space() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
}

Status JsonCursor::expect(char expected) {
  if (accept(expected)) return ok_status();
  if (at_ == text_.size()) return failure(str("text ends where '", expected, "' should be"));
  return failure(
      str("found '", printable(text_.substr(at_, 1)), "' where '", expected, "' should be"));
}

bool JsonCursor::accept(char wanted) {
  skip_space();
  if (at_ == text_.size() || text_[at_] != wanted) return false;
  ++at_;
  return true;
}

Status JsonCursor::expect_end() {
  skip_space();
  return at_ == text_.size() ? ok_status() : failure("text after the end of the value");
}

Result<std::uint32_t> JsonCursor::hex4() {
  if (text_.size() - at_ < 4) return failure("escape is cut short");
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = text_[at_];
    const int digit = is_digit(c)              ? c - '0'
                      : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                      : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                               : -1;
    if (digit < 0) return failure("escape with a character that is no hexadecimal digit");
    value = value * 16 + static_cast<std::uint32_t>(digit);
  }
  return value;
}

Status JsonCursor::append_escape(std::string& out) {
  if (at_ == text_.size()) return failure("escape is cut short");
  const char c = text_[at_++];
  constexpr std::string_view kFrom = "\"\\/bfnrt";
  constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
  if (const std::size_t index = kFrom.find(c); index != std::string_view::npos) {
    out += kTo[index];
    return ok_status();
  }
  if (c != 'u') return failure("unknown escape");
  ASSIGN_OR_RETURN(char32_t code_point, hex4());
  if (code_point >= 0xD800 && code_point < 0xDC00) {
    if (text_.substr(at_, 2) != "\\u") return failure("surrogate without its partner");
    at_ += 2;
    ASSIGN_OR_RETURN(const char32_t low, hex4());
    if (low < 0xDC00 || low > 0xDFFF) return failure("surrogate without its partner");
    code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
  } else if (code_point >= 0xDC00 && code_point <= 0xDFFF) {
    return failure("surrogate without its partner");
  }
  utf8::append(out, code_point);
  return ok_status();
}

Result<std::string> JsonCursor::string() {
  RETURN_IF_ERROR(expect('"'));
  std::string out;
  for (;;) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
           static_cast<unsigned char>(text_[at_]) >= 0x20) {
      ++at_;
    }
    const std::string_view plain = text_.substr(begin, at_ - begin);
    if (!utf8::is_valid(plain)) {
      at_ = begin;
      return failure("string with invalid UTF-8");
    }
    out += plain;
    if (at_ == text_.size()) return failure("string is cut short");
    const char c = text_[at_++];
    if (c == '"') return out;
    if (c != '\\') {
      --at_;
      return failure("control character in a string");
    }
    RETURN_IF_ERROR(append_escape(out));
  }
}

Result<std::uint64_t> JsonCursor::unsigned_integer() {
  skip_space();
  const std::size_t begin = at_;
  std::uint64_t value = 0;
  while (at_ < text_.size() && is_digit(text_[at_])) {
    const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
      at_ = begin;
      return failure("integer above 2^64");
    }
    value = value * 10 + digit;
    ++at_;
  }
  const bool leading_zero = at_ - begin > 1 && text_[begin] == '0';
  const bool fraction =
      at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E');
  if (at_ == begin || leading_zero || fraction) {
    at_ = begin;
    return failure("expected a non-negative integer");
  }
  return value;
}

Status JsonCursor::skip_scalar() {
  skip_space();
  if (at_ < text_.size() && text_[at_] == '"') return string().status();
  for (const std::string_view word : {"true", "false", "null"}) {
    if (text_.substr(at_, word.size()) == word) {
      at_ += word.size();
      return ok_status();
    }
  }
  const std::size_t begin = at_;
  bool digits = false;
  while (at_ < text_.size() &&
         (is_digit(text_[at_]) ||
          std::string_view("+-.eE").find(text_[at_]) != std::string_view::npos)) {
    digits = digits || is_digit(text_[at_]);
    ++at_;
  }
  if (digits) return ok_status();
  at_ = begin;
  return failure("expected a value");
}

Status JsonCursor::skip_value() {
  // The open brackets, innermost last. Bound: kJsonDepthMax, so deep input costs no stack.
  std::string open;
  for (;;) {
    if (accept('{')) {
      open += '}';
      if (!accept('}')) {
        RETURN_IF_ERROR(string().status());
        RETURN_IF_ERROR(expect(':'));
        if (open.size() > limits::kJsonDepthMax) return failure("nested too deep");
        continue;
      }
      open.pop_back();
    } else if (accept('[')) {
      open += ']';
      if (open.size() > limits::kJsonDepthMax) return failure("nested too deep");
      if (!accept(']')) continue;
      open.pop_back();
    } else {
      RETURN_IF_ERROR(skip_scalar());
    }
    // A value has ended: go on with its container.
    while (!open.empty() && !accept(',')) {
      RETURN_IF_ERROR(expect(open.back()));
      open.pop_back();
    }
    if (open.empty()) return ok_status();
    if (open.back() == '}') {
      RETURN_IF_ERROR(string().status());
      RETURN_IF_ERROR(expect(':'));
    }
  }
}

}  // namespace inferneo::formats
