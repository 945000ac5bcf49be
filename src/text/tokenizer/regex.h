// A regular expression of a tokenizer document, in Oniguruma's syntax, run by PCRE2. Constructs
// that would mean something else in PCRE2 are rewritten or refused.
// Thread: any; immutable after compile. Ownership: owns the compiled program.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::text {

class Regex {
 public:
  // Failures: corrupt_data for a broken pattern, unsupported naming the construct.
  static Result<Regex> compile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  struct Span {
    std::size_t start = 0;
    std::size_t end = 0;
  };

  // Walks the matches of one text, left to right. Borrows the regex and the text.
  class Matches {
   public:
    Matches(const Regex& regex, std::string_view text);
    ~Matches();
    Matches(const Matches&) = delete;
    Matches& operator=(const Matches&) = delete;

    // False at the end, and for good once a match runs into its step limit: the rest of the text
    // then counts as unmatched.
    bool next(Span& span);

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  struct Program;
  explicit Regex(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

// The pattern in PCRE2's syntax.
Result<std::string> translate_oniguruma(std::string_view pattern);

}  // namespace inferneo::text
