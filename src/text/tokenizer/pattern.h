// `pattern` of Split and Replace entries: a literal string or a regular expression.
// Thread: any; immutable after parse. Ownership: owns the program.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/tokenizer/json_view.h"
#include "text/tokenizer/regex.h"

namespace inferneo::text {

class Pattern {
 public:
  static Result<Pattern> parse(const JsonView& entry);
  static Pattern of_text(std::string_view text);
  // An expression by itself. Failures: those of Regex::compile.
  static Result<Pattern> of_expression(std::string_view expression);
  // `content` of a Replace entry: what each match becomes. Bound: at most 64 bytes, so that a text
  // cannot grow without limit.
  static Result<std::string> parse_content(const JsonView& entry);

  // Calls `found(start, end)` for each match, left to right; matches may be empty.
  template <typename Found>
  void for_each_match(std::string_view text, Found&& found) const {
    if (regex_) {
      Regex::Matches matches(*regex_, text);
      for (Regex::Span span; matches.next(span);) found(span.start, span.end);
      return;
    }
    if (source_.empty()) return;
    for (std::size_t at = text.find(source_); at != text.npos;
         at = text.find(source_, at + source_.size())) {
      found(at, at + source_.size());
    }
  }

  [[nodiscard]] bool is_regex() const { return regex_.has_value(); }
  // The string, or the text of the expression.
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::optional<Regex> regex_;
};

}  // namespace inferneo::text
