// Rewrites Oniguruma's syntax (Ruby flavour, as Hugging Face tokenizers compiles it) for PCRE2.
#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/regex.h"

namespace inferneo::text {
namespace {

// Class bodies that mean the same in both engines, spelled out because the escapes differ.
constexpr std::string_view kSpaceSet =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";
// Letters, marks, decimal and letter numbers, connectors, and the alphabetic symbols.
constexpr std::string_view kWordSet =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}"
    "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";
constexpr std::string_view kDigitSet = "\\p{Nd}";
constexpr std::string_view kHexSet = "0-9a-fA-F";

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> run() {
    while (at_ < in_.size()) RETURN_IF_ERROR(step());
    return std::move(out_);
  }

 private:
  Status step() {
    const char c = in_[at_];
    if (c == '\\') return escape();
    if (c == '[') return open_set();
    if (in_set_ && c == ']') {
      in_set_ = false;
    } else if (in_set_ && in_.substr(at_).starts_with("&&")) {
      return refuse("set intersection &&");
    } else if (!in_set_ && in_.substr(at_).starts_with("(?")) {
      return group();
    } else if (!in_set_ && c == '{' && is_repeated_interval()) {
      return refuse("a repeated interval {..}+");
    }
    out_ += c;
    ++at_;
    return ok_status();
  }

  // {1,3}+ repeats the interval in Oniguruma and is possessive in PCRE2.
  bool is_repeated_interval() const {
    const std::size_t end = in_.find_first_not_of("0123456789,", at_ + 1);
    return end != in_.npos && in_.substr(end).starts_with("}+");
  }

  Status refuse(std::string_view construct) const {
    return unsupported(str("the pattern '",
                           printable(in_, 120),
                           "' uses ",
                           construct,
                           " at byte ",
                           at_,
                           ", which is not supported"));
  }

  Status open_set() {
    if (in_set_ && !in_.substr(at_).starts_with("[:")) return refuse("a set within a set");
    if (in_set_) {
      const std::size_t end = in_.find(":]", at_);
      if (end == in_.npos) return refuse("an unfinished [: in a set");
      out_ += in_.substr(at_, end + 2 - at_);
      at_ = end + 2;
      return ok_status();
    }
    in_set_ = true;
    out_ += '[';
    ++at_;
    if (at_ < in_.size() && in_[at_] == '^') out_ += in_[at_++];
    if (at_ < in_.size() && in_[at_] == ']') {
      out_ += "\\]";
      ++at_;
    }
    return ok_status();
  }

  // (?i:..), (?m..) which is PCRE2's (?s..), look-around and atomic groups.
  Status group() {
    out_ += "(?";
    at_ += 2;
    if (at_ < in_.size() && std::string_view(":=!>#").find(in_[at_]) != std::string_view::npos) {
      return ok_status();
    }
    if (in_.substr(at_).starts_with("<=") || in_.substr(at_).starts_with("<!")) {
      return ok_status();
    }
    if (at_ < in_.size() && in_[at_] == '<') return ok_status();
    for (; at_ < in_.size() && in_[at_] != ':' && in_[at_] != ')'; ++at_) {
      if (in_[at_] == 'm') {
        out_ += 's';
      } else if (in_[at_] == 'i' || in_[at_] == 'x' || in_[at_] == '-') {
        out_ += in_[at_];
      } else {
        return refuse("an unknown group");
      }
    }
    return ok_status();
  }

  void put_set(std::string_view set, bool negated) {
    out_ += negated ? "[^" : "[";
    out_ += set;
    out_ += ']';
  }

  Status class_escape(std::string_view set, bool negated) {
    if (in_set_ && negated) return refuse("a negated class in a set");
    if (in_set_) {
      out_ += set;
    } else {
      put_set(set, negated);
    }
    at_ += 2;
    return ok_status();
  }

  Status escape() {
    if (at_ + 1 >= in_.size()) return refuse("a lone backslash");
    const char c = in_[at_ + 1];
    switch (c) {
      case 's':
        return class_escape(kSpaceSet, false);
      case 'S':
        // The complement of the set, for use inside another set.
        if (in_set_) return class_escape(kNotSpaceSet, false);
        return class_escape(kSpaceSet, true);
      case 'w':
        return class_escape(kWordSet, false);
      case 'W':
        return class_escape(kWordSet, true);
      case 'd':
        return class_escape(kDigitSet, false);
      case 'D':
        return in_set_ ? class_escape("\\P{Nd}", false) : class_escape(kDigitSet, true);
      case 'h':
        return class_escape(kHexSet, false);
      case 'H':
        return class_escape(kHexSet, true);
      case 'u':
        return unicode_escape();
      case 'R':
      case 'X':
      case 'K':
      case 'g':
      case 'y':
      case 'Y':
      case 'M':
      case 'C':
      case 'c':
        return refuse(str("\\", c));
      case 'p':
      case 'P':
        return property();
      default:
        out_ += '\\';
        out_ += c;
        at_ += 2;
        return ok_status();
    }
  }

  Status property() {
    const std::size_t end = in_.find('}', at_);
    if (end == in_.npos || at_ + 2 >= in_.size() || in_[at_ + 2] != '{') {
      return refuse("a property without {..}");
    }
    out_ += in_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return ok_status();
  }

  Status unicode_escape() {
    const std::string_view digits = in_.substr(at_ + 2, 4);
    if (digits.size() != 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos) {
      return refuse("\\u without four digits");
    }
    out_ += str("\\x{", digits, "}");
    at_ += 6;
    return ok_status();
  }

  static constexpr std::string_view kNotSpaceSet =
      "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-"
      "\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
      "\\x{3001}-\\x{d7ff}\\x{e000}-\\x{10ffff}";

  std::string_view in_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_set_ = false;
};

}  // namespace

Result<std::string> translate_oniguruma(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace inferneo::text
