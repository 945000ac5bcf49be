#include "text/template/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/str.h"
#include "base/utf8.h"
#include "text/template/characters.h"

namespace inferneo::text::jinja {
namespace {

bool is_name_start(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || byte >= 0x80;
}

bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_part(char c) { return is_name_start(c) || is_decimal_digit(c); }

bool is_base_digit(char c, int base) {
  if (base == 16) {
    return is_decimal_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  }
  return c >= '0' && c < '0' + base;
}

// One kind of line end, and no last one.
std::string normalize_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const std::size_t open = find_open();
      RETURN_IF_ERROR(open == source_.npos ? take_rest() : take_until(open));
    }
    add(TokenKind::kEnd, "", at_);
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] std::string_view rest() const { return source_.substr(at_); }

  // Next "{{", "{%" or "{#".
  [[nodiscard]] std::size_t find_open() const {
    std::size_t open = source_.find('{', at_);
    while (open != source_.npos) {
      if (open + 1 < source_.size() &&
          std::string_view("{%#").find(source_[open + 1]) != std::string_view::npos) {
        return open;
      }
      open = source_.find('{', open + 1);
    }
    return open;
  }

  Status take_rest() {
    add_data(rest(), at_);
    at_ = source_.size();
    return ok_status();
  }

  // The text before a tag, with the white space that the tag removes, and the tag itself.
  Status take_until(std::size_t open) {
    const std::size_t begin = at_;
    std::string_view text = source_.substr(begin, open - begin);
    const char kind = source_[open + 1];
    std::size_t after = open + 2;
    char mark = 0;
    if (after < source_.size() && (source_[after] == '-' || source_[after] == '+')) {
      // "{{+" is no mark: the plus belongs to the expression.
      if (kind != '{' || source_[after] == '-') mark = source_[after++];
    }
    if (mark == '-') {
      text = strip_right(text);
    } else if (mark != '+' && kind != '{') {
      text = strip_indent(text);
    }
    add_data(text, begin);
    at_ = after;
    if (kind == '#') return skip_comment(open);
    if (kind == '%' && next_word() == "raw") return take_raw(open);
    add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "", open);
    return take_expression(kind == '{' ? "}}" : "%}", open);
  }

  // Removes the white space before a block that starts its line.
  [[nodiscard]] std::string_view strip_indent(std::string_view text) const {
    const std::size_t newline = text.rfind('\n');
    const std::size_t line = newline == text.npos ? 0 : newline + 1;
    if (line == 0 && !line_starting_) return text;
    return strip(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  // Consumes the end of a tag at at_; `-` removes the white space that follows, `%}` and `#}`
  // remove one line end.
  void close_tag(char mark, bool trims_newline) {
    at_ += mark == 0 ? 2 : 3;
    if (mark == '-') {
      at_ = source_.size() - strip_left(rest()).size();
    } else if (mark == 0 && trims_newline && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
    line_starting_ = source_[at_ - 1] == '\n';
  }

  Status skip_comment(std::size_t open) {
    const std::size_t end = source_.find("#}", at_);
    if (end == source_.npos) return error(open, "Missing end of comment tag");
    const bool marked = end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+');
    at_ = marked ? end - 1 : end;
    close_tag(marked ? source_[at_] : '\0', true);
    return ok_status();
  }

  // The name that follows white space; does not move.
  [[nodiscard]] std::string_view next_word() const {
    const std::string_view text = strip_left(rest());
    std::size_t size = 0;
    while (size < text.size() && is_name_part(text[size])) ++size;
    return text.substr(0, size);
  }

  // Everything up to "{% endraw %}" is data.
  Status take_raw(std::size_t open) {
    at_ = source_.size() - strip_left(rest()).size() + 3;
    at_ = source_.size() - strip_left(rest()).size();
    if (rest().starts_with("-%}")) {
      close_tag('-', false);
    } else if (rest().starts_with("%}")) {
      close_tag(0, false);
    } else {
      return error(at_, "expected the end of the raw tag");
    }
    const std::size_t begin = at_;
    for (std::size_t end = source_.find("{%", at_); end != source_.npos;
         end = source_.find("{%", end + 1)) {
      if (close_raw(begin, end)) return ok_status();
    }
    return error(open, "Missing end of raw directive");
  }

  // True when an endraw tag starts at `open`; then the text before it is taken.
  bool close_raw(std::size_t begin, std::size_t open) {
    at_ = open + 2;
    char mark = 0;
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) {
      mark = source_[at_++];
    }
    if (next_word() != "endraw") return false;
    at_ = source_.size() - strip_left(rest()).size() + 6;
    at_ = source_.size() - strip_left(rest()).size();
    char end_mark = 0;
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) {
      end_mark = source_[at_];
    }
    if (!source_.substr(at_ + (end_mark ? 1 : 0)).starts_with("%}")) return false;
    std::string_view text = source_.substr(begin, open - begin);
    if (mark == '-') {
      text = strip_right(text);
    } else if (mark == 0) {
      text = strip_indent(text);
    }
    add_data(text, begin);
    close_tag(end_mark, true);
    return true;
  }

  // Tokens up to the end of the tag. Inside brackets "}}" and "%}" are operators.
  Status take_expression(std::string_view close, std::size_t open) {
    std::string brackets;
    while (true) {
      at_ = source_.size() - strip_left(rest()).size();
      if (at_ >= source_.size()) {
        return error(open, str("this tag is not closed: expected '", close, "'"));
      }
      if (brackets.empty()) {
        if (rest().starts_with(close)) break;
        const bool marked = rest()[0] == '-' || (rest()[0] == '+' && close == "%}");
        if (marked && rest().substr(1).starts_with(close)) break;
      }
      RETURN_IF_ERROR(take_token(brackets));
    }
    const std::size_t end = at_;
    const char mark = rest().starts_with(close) ? '\0' : source_[at_];
    close_tag(mark, close == "%}");
    add(close == "}}" ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "", end);
    return ok_status();
  }

  Status take_token(std::string& brackets) {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return take_string(c);
    if (is_decimal_digit(c)) return take_number();
    const std::size_t begin = at_;
    if (is_name_start(c)) {
      while (at_ < source_.size() && is_name_part(source_[at_])) ++at_;
      add(TokenKind::kName, std::string(source_.substr(begin, at_ - begin)), begin);
      return ok_status();
    }
    return take_operator(brackets);
  }

  Status take_operator(std::string& brackets) {
    constexpr std::array<std::string_view, 6> kPairs = {"==", "!=", ">=", "<=", "//", "**"};
    std::string_view text = rest().substr(0, 2);
    if (std::find(kPairs.begin(), kPairs.end(), text) == kPairs.end()) text = rest().substr(0, 1);
    if (text.size() == 1 && std::string_view("+-/*%~[](){}><=.:|,;").find(text) == text.npos) {
      const utf8::Decoded decoded = utf8::decode(source_, at_);
      return error(at_,
                   str("unexpected char '", printable(source_.substr(at_, decoded.size)), "'"));
    }
    const char c = text[0];
    if (c == '(' || c == '[' || c == '{') {
      brackets += c == '(' ? ')' : (c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty()) return error(at_, str("unexpected '", c, "'"));
      if (brackets.back() != c) {
        return error(at_, str("unexpected '", c, "', expected '", brackets.back(), "'"));
      }
      brackets.pop_back();
    }
    add(TokenKind::kOperator, std::string(text), at_);
    at_ += text.size();
    return ok_status();
  }

  // Digits of a base with single underscores between them.
  std::string take_digits(int base) {
    std::string digits;
    while (at_ < source_.size()) {
      if (source_[at_] == '_' && at_ + 1 < source_.size() &&
          is_base_digit(source_[at_ + 1], base)) {
        ++at_;
      }
      if (!is_base_digit(source_[at_], base)) break;
      digits += source_[at_++];
    }
    return digits;
  }

  Status take_number() {
    const std::size_t begin = at_;
    const char second = at_ + 1 < source_.size() ? source_[at_ + 1] : '\0';
    if (source_[at_] == '0' && std::string_view("xXoObB").find(second) != std::string_view::npos &&
        second != '\0') {
      const int base =
          second == 'x' || second == 'X' ? 16 : (second == 'o' || second == 'O' ? 8 : 2);
      at_ += 2;
      const std::string digits = take_digits(base);
      std::int64_t value = 0;
      const auto result =
          std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
      if (digits.empty() || result.ec != std::errc()) return error(begin, "invalid number");
      add(TokenKind::kInteger, str(value), begin);
      return ok_status();
    }
    std::string text = take_digits(10);
    bool is_float = false;
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_decimal_digit(source_[at_ + 1])) {
      ++at_;
      text += "." + take_digits(10);
      is_float = true;
    }
    is_float = take_exponent(text) || is_float;
    if (!is_float && text.size() > 1 && text[0] == '0' &&
        text.find_first_not_of('0') != text.npos) {
      return error(begin, "a decimal number may not begin with 0");
    }
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(text), begin);
    return ok_status();
  }

  bool take_exponent(std::string& text) {
    if (at_ >= source_.size() || (source_[at_] != 'e' && source_[at_] != 'E')) return false;
    std::size_t digits = at_ + 1;
    const bool has_sign =
        digits < source_.size() && (source_[digits] == '+' || source_[digits] == '-');
    if (has_sign) ++digits;
    if (digits >= source_.size() || !is_decimal_digit(source_[digits])) return false;
    text += 'e';
    if (has_sign) text += source_[digits - 1];
    at_ = digits;
    text += take_digits(10);
    return true;
  }

  Status take_string(char quote) {
    const std::size_t begin = at_;
    std::string text;
    ++at_;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] != '\\') {
        text += source_[at_++];
        continue;
      }
      RETURN_IF_ERROR(take_escape(text));
    }
    if (at_ >= source_.size()) return error(begin, "this string is not closed");
    ++at_;
    add(TokenKind::kString, std::move(text), begin);
    return ok_status();
  }

  // Spec: the unicode-escape codec of Python; unknown escapes stay as they are.
  Status take_escape(std::string& text) {
    constexpr std::string_view kLetters = "abfnrtv\\'\"";
    constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
    const std::size_t begin = at_++;
    if (at_ >= source_.size()) return error(begin, "this string is not closed");
    const char c = source_[at_++];
    if (const std::size_t found = kLetters.find(c); found != kLetters.npos) {
      text += kValues[found];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      return take_code_point(begin, c == 'x' ? 2 : (c == 'u' ? 4 : 8), text);
    } else if (c >= '0' && c <= '7') {
      char32_t value = static_cast<char32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < source_.size() && is_base_digit(source_[at_], 8); ++i) {
        value = value * 8 + static_cast<char32_t>(source_[at_++] - '0');
      }
      utf8::append(text, value);
    } else if (c == 'N') {
      return error(begin, "named characters (\\N) are not supported");
    } else if (c != '\n') {
      text += '\\';
      text += c;
    }
    return ok_status();
  }

  Status take_code_point(std::size_t begin, std::size_t digit_count, std::string& text) {
    const std::string_view digits = rest().substr(0, digit_count);
    std::uint32_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() < digit_count || result.ptr != digits.data() + digits.size()) {
      return error(begin, "invalid escape in a string");
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return error(begin, "this escape is no character");
    }
    at_ += digit_count;
    utf8::append(text, value);
    return ok_status();
  }

  void add_data(std::string_view text, std::size_t at) {
    if (!text.empty()) add(TokenKind::kData, std::string(text), at);
  }

  void add(TokenKind kind, std::string text, std::size_t at) {
    tokens_.push_back({kind, std::move(text), position_of(at)});
  }

  // Tokens come in order, so that counting lines goes on from the one before.
  Position position_of(std::size_t at) {
    if (at < counted_to_) return {};
    for (; counted_to_ < at; ++counted_to_) {
      if (source_[counted_to_] != '\n') continue;
      ++line_;
      line_begin_ = counted_to_ + 1;
    }
    return {line_, static_cast<std::int32_t>(at - line_begin_) + 1};
  }

  // Counts from the start: the place of a failure can lie before the last token.
  [[nodiscard]] Status error(std::size_t at, std::string_view message) const {
    const std::string_view before = source_.substr(0, at);
    const std::size_t newline = before.rfind('\n');
    Position position;
    position.line = 1 + static_cast<std::int32_t>(std::count(before.begin(), before.end(), '\n'));
    position.column = static_cast<std::int32_t>(newline == before.npos ? at + 1 : at - newline);
    return template_error(position, message);
  }

  std::string_view source_;
  std::size_t at_ = 0;
  // What was last taken ended a line (or the source begins here).
  bool line_starting_ = true;
  std::vector<Token> tokens_;
  std::size_t counted_to_ = 0;
  std::size_t line_begin_ = 0;
  std::int32_t line_ = 1;
};

}  // namespace

Result<std::vector<Token>> tokenize_template(std::string_view source) {
  const std::string text = normalize_lines(source);
  return Lexer(text).run();
}

std::string place(Position at) {
  return str("chat template line ", at.line, ", column ", at.column);
}

Status template_error(Position at, std::string_view message) {
  return invalid_argument(std::string(message)).with_where(place(at));
}

Status template_unsupported(Position at, std::string_view message) {
  return unsupported(std::string(message)).with_where(place(at));
}

}  // namespace inferneo::text::jinja
