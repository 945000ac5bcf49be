#include "text/grammar/regex.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/grammar/determinise.h"

namespace inferneo::text::grammar {
namespace {

constexpr std::uint32_t kRepeatCountMax = 100'000;

CodePointSet digit_set() { return {{'0', '9'}}; }
CodePointSet word_set() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }

// What no dialect takes for a digit, respectively for part of a word.
CodePointSet not_digit_set() {
  CodePointSet set = category_set("N");
  set.add('0', '9');
  return set.complement();
}
CodePointSet not_word_set() {
  CodePointSet set = category_set("N");
  set.add(category_set("L"));
  set.add(category_set("M"));
  set.add(word_set());
  return set.complement();
}

// A dot reads no line end of any dialect.
CodePointSet dot_set() {
  return CodePointSet{{'\n', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}}.complement();
}

class RegexParser {
 public:
  RegexParser(Expressions& expressions, std::string_view pattern, Spelling spelling)
      : expressions_(expressions), pattern_(pattern), spelling_(spelling) {}

  Result<ExprId> parse() {
    if (pattern_.size() > limits::kGrammarSourceSizeMax) {
      return invalid_argument(str("has ",
                                  pattern_.size(),
                                  " bytes, but at most ",
                                  limits::kGrammarSourceSizeMax,
                                  " are accepted"));
    }
    if (!utf8::is_valid(pattern_)) return invalid_argument("is not valid UTF-8");
    ASSIGN_OR_RETURN(const ExprId root, alternation(0));
    if (at_ < pattern_.size()) return fail("has a ')' without its '('");
    return root;
  }

 private:
  [[nodiscard]] bool done() const { return at_ >= pattern_.size(); }
  [[nodiscard]] char peek() const { return pattern_[at_]; }
  [[nodiscard]] bool looking_at(std::string_view text) const {
    return pattern_.substr(at_).starts_with(text);
  }
  bool take(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }
  [[nodiscard]] Status fail(std::string_view what) const {
    return invalid_argument(str(what, " at offset ", at_, " of the pattern"));
  }
  [[nodiscard]] Status refuse(std::string_view what) const {
    return unsupported(str(what, " are not supported (offset ", at_, " of the pattern)"));
  }

  Result<ExprId> alternation(std::size_t depth) {
    if (depth > limits::kGrammarDepthMax) {
      return invalid_argument(
          str("nests groups deeper than ", limits::kGrammarDepthMax, " levels"));
    }
    std::vector<ExprId> options;
    do {
      ASSIGN_OR_RETURN(const ExprId option, sequence(depth));
      options.push_back(option);
    } while (take("|"));
    return expressions_.choice(std::move(options));
  }

  Result<ExprId> sequence(std::size_t depth) {
    std::vector<ExprId> parts;
    while (!done() && peek() != '|' && peek() != ')') {
      const bool anchor = peek() == '^' || peek() == '$';
      ASSIGN_OR_RETURN(ExprId part, atom(depth));
      ASSIGN_OR_RETURN(part, quantified(part, anchor));
      parts.push_back(part);
    }
    return expressions_.sequence(std::move(parts));
  }

  Result<ExprId> atom(std::size_t depth) {
    switch (peek()) {
      case '(':
        return group(depth);
      case '[':
        return bracket();
      case '\\':
        return escape();
      case '.':
        ++at_;
        return spell_class(dot_set());
      case '^':
        ++at_;
        return expressions_.begin();
      case '$':
        ++at_;
        return expressions_.end();
      case '*':
      case '+':
      case '?':
        return fail("has a quantifier with nothing before it");
      case '{':
        if (counts_at(at_)) return fail("has a quantifier with nothing before it");
        break;
      default:
        break;
    }
    const utf8::Decoded decoded = utf8::decode(pattern_, at_);
    at_ += decoded.size;
    return spell(expressions_, decoded.code_point, spelling_);
  }

  Result<ExprId> group(std::size_t depth) {
    const std::size_t open = at_;
    ++at_;
    if (take("?")) {
      if (looking_at("=") || looking_at("!") || looking_at("<=") || looking_at("<!")) {
        return refuse("look-ahead and look-behind");
      }
      if (looking_at("P=")) return refuse("back references");
      if (looking_at(">")) return refuse("atomic groups");
      if (looking_at("#")) return refuse("comments");
      if (take("<") || take("P<")) {
        const std::size_t end = pattern_.find('>', at_);
        if (end == std::string_view::npos || end == at_) return fail("has a group without a name");
        at_ = end + 1;
      } else if (!take(":")) {
        return refuse("inline flags and this kind of group");
      }
    }
    ASSIGN_OR_RETURN(const ExprId inner, alternation(depth + 1));
    if (!take(")")) {
      at_ = open;
      return fail("has a '(' without its ')'");
    }
    return inner;
  }

  // Whether "{2}", "{2,}", "{2,3}" or "{,3}" stands here; any other brace is a plain character.
  [[nodiscard]] bool counts_at(std::size_t at) const {
    std::size_t i = at + 1;
    bool digits = false;
    while (i < pattern_.size() && pattern_[i] >= '0' && pattern_[i] <= '9') {
      ++i;
      digits = true;
    }
    if (i < pattern_.size() && pattern_[i] == ',') {
      ++i;
      while (i < pattern_.size() && pattern_[i] >= '0' && pattern_[i] <= '9') {
        ++i;
        digits = true;
      }
    }
    return digits && i < pattern_.size() && pattern_[i] == '}';
  }

  std::optional<std::uint32_t> number() {
    std::optional<std::uint32_t> value;
    while (!done() && peek() >= '0' && peek() <= '9') {
      const std::uint32_t next = value.value_or(0) * 10 + static_cast<std::uint32_t>(peek() - '0');
      value = std::min(next, kRepeatCountMax + 1);
      ++at_;
    }
    return value;
  }

  Result<ExprId> quantified(ExprId inner, bool anchor) {
    std::uint32_t min = 1;
    std::uint32_t max = 1;
    if (done()) return inner;
    if (take("*")) {
      min = 0;
      max = kRepeatForever;
    } else if (take("+")) {
      max = kRepeatForever;
    } else if (take("?")) {
      min = 0;
    } else if (peek() == '{' && counts_at(at_)) {
      ++at_;
      const std::optional<std::uint32_t> low = number();
      min = low.value_or(0);
      max = min;
      if (take(",")) max = number().value_or(kRepeatForever);
      (void)take("}");
      if (min > kRepeatCountMax || (max != kRepeatForever && max > kRepeatCountMax)) {
        return invalid_argument(
            str("repeats more than ", kRepeatCountMax, " times before offset ", at_));
      }
      if (max < min) return fail("has a quantifier whose bounds are the wrong way round");
    } else {
      return inner;
    }
    if (anchor) return fail("has a quantifier behind an anchor");
    if (!done() && peek() == '+') return refuse("possessive quantifiers");
    (void)take("?");
    if (!done() &&
        (peek() == '*' || peek() == '+' || peek() == '?' || (peek() == '{' && counts_at(at_)))) {
      return fail("has two quantifiers in a row");
    }
    return expressions_.repeat(inner, min, max);
  }

  Result<ExprId> escape() {
    if (at_ + 1 >= pattern_.size()) return fail("ends with a backslash");
    const char next = pattern_[at_ + 1];
    if (next == 'b' || next == 'B') return refuse("word boundaries");
    if ((next >= '1' && next <= '9') || next == 'k') return refuse("back references");
    if (next == 'A' || next == 'Z' || next == 'z' || next == 'G') {
      const bool begin = next == 'A';
      if (next == 'G') return refuse("\\G anchors");
      at_ += 2;
      return begin ? expressions_.begin() : expressions_.end();
    }
    CodePointSet set;
    ASSIGN_OR_RETURN(const std::optional<char32_t> single, class_escape(set));
    if (single) return spell(expressions_, *single, spelling_);
    return spell_class(set);
  }

  // Reads an escape: a character, or nothing and a class in `set`.
  Result<std::optional<char32_t>> class_escape(CodePointSet& set) {
    const std::size_t begin = at_;
    if (at_ + 1 >= pattern_.size()) return fail("ends with a backslash");
    const char kind = pattern_[at_ + 1];
    at_ += 2;
    const auto whole = [&](const CodePointSet& chosen) -> Result<std::optional<char32_t>> {
      // The sets of Unicode have some hundred ranges.
      if (kind != 'd' && kind != 'w' && kind != 's') (void)expressions_.budget().spend(2000);
      set.add(chosen);
      return std::optional<char32_t>();
    };
    const auto one = [](char32_t c) -> Result<std::optional<char32_t>> {
      return std::optional<char32_t>(c);
    };
    // In a negated class the widest meaning, so that what remains is outside of all of them.
    switch (kind) {
      case 'd':
        return whole(wide_ ? not_digit_set().complement() : digit_set());
      case 'D':
        return whole(wide_ ? digit_set().complement() : not_digit_set());
      case 'w':
        return whole(wide_ ? not_word_set().complement() : word_set());
      case 'W':
        return whole(wide_ ? word_set().complement() : not_word_set());
      case 's':
        return whole(wide_ ? not_space_set().complement() : space_set());
      case 'S':
        return whole(wide_ ? space_set().complement() : not_space_set());
      case 'p':
      case 'P':
        return property(set, kind == 'P');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'x':
        return hex(2);
      case 'u':
        if (take("{")) return braced_hex();
        return utf16();
      case 'c':
        if (!done() && ((peek() >= 'a' && peek() <= 'z') || (peek() >= 'A' && peek() <= 'Z'))) {
          return one(static_cast<char32_t>(pattern_[at_++] & 31));
        }
        return fail("has an incomplete \\c");
      default:
        break;
    }
    if ((kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z') ||
        (kind >= '0' && kind <= '9')) {
      at_ = begin;
      return fail(str("has the unknown escape '\\", kind, "'"));
    }
    --at_;
    const utf8::Decoded decoded = utf8::decode(pattern_, at_);
    at_ += decoded.size;
    return one(decoded.code_point);
  }

  Result<std::optional<char32_t>> hex(std::size_t digits) {
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const int digit = done() ? -1 : hex_digit(peek());
      if (digit < 0) return fail("has an incomplete hexadecimal escape");
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    return std::optional<char32_t>(value);
  }

  // \uXXXX, or two of them that make one character.
  Result<std::optional<char32_t>> utf16() {
    ASSIGN_OR_RETURN(const std::optional<char32_t> first, hex(4));
    if (*first < 0xD800 || *first > 0xDFFF) return first;
    if (*first > 0xDBFF || !take("\\u")) return fail("has half of a surrogate pair");
    ASSIGN_OR_RETURN(const std::optional<char32_t> second, hex(4));
    if (*second < 0xDC00 || *second > 0xDFFF) return fail("has half of a surrogate pair");
    return std::optional<char32_t>(0x10000 + ((*first - 0xD800) << 10U) + (*second - 0xDC00));
  }

  Result<std::optional<char32_t>> braced_hex() {
    char32_t value = 0;
    std::size_t digits = 0;
    for (; !done() && hex_digit(peek()) >= 0 && digits < 8; ++digits) {
      value = value * 16 + static_cast<char32_t>(hex_digit(pattern_[at_++]));
    }
    if (digits == 0 || !take("}") || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return fail("has a malformed \\u{...}");
    }
    return std::optional<char32_t>(value);
  }

  static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }

  Result<std::optional<char32_t>> property(CodePointSet& set, bool negated) {
    std::string_view name;
    if (take("{")) {
      const std::size_t end = pattern_.find('}', at_);
      if (end == std::string_view::npos) return fail("has an unterminated \\p{");
      name = pattern_.substr(at_, end - at_);
      at_ = end + 1;
    } else if (!done()) {
      name = pattern_.substr(at_++, 1);
    }
    for (const std::string_view prefix : {"General_Category=", "gc="}) {
      if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    }
    const CodePointSet category = category_set(name);
    if (category.ranges().empty()) {
      return unsupported(str("the property \\p{",
                             printable(name),
                             "} is not supported (offset ",
                             at_,
                             " of the pattern); general categories such as L, Lu or Nd are"));
    }
    (void)expressions_.budget().spend(20'000);
    set.add(negated ? category.complement() : category);
    return std::optional<char32_t>();
  }

  Result<ExprId> bracket() {
    const std::size_t open = at_;
    ++at_;
    const bool negated = take("^");
    wide_ = negated;
    CodePointSet set;
    bool first = true;
    for (;;) {
      if (done()) {
        at_ = open;
        return fail("has a '[' without its ']'");
      }
      // Why: an empty class is written differently in each dialect.
      if (peek() == ']' && !first) break;
      if (peek() == ']') return fail("has an empty class or an unescaped ']' in a class");
      first = false;
      if (looking_at("[:") || looking_at("[.") || looking_at("[=")) {
        return refuse("POSIX classes");
      }
      if (looking_at("&&") || looking_at("--")) return refuse("class operations");
      RETURN_IF_ERROR(bracket_item(set));
    }
    ++at_;
    wide_ = false;
    if (negated) set = set.complement();
    return spell_class(set);
  }

  // One small automaton for each class of the pattern, however often it occurs.
  Result<ExprId> spell_class(const CodePointSet& set) {
    std::vector<std::pair<char32_t, char32_t>> key;
    for (const CodePointRange& range : set.ranges()) key.emplace_back(range.low, range.high);
    const auto [found, added] = classes_.try_emplace(std::move(key));
    if (added) {
      found->second = spell(expressions_, set, spelling_);
      if (found->first.size() > 2 || (!found->first.empty() && found->first.back().second > 0x7F)) {
        ASSIGN_OR_RETURN(Dfa dfa, determinise(expressions_, found->second));
        found->second = expressions_.dfa(minimise(std::move(dfa), expressions_.budget()));
      }
    }
    return found->second;
  }

  Result<std::optional<char32_t>> bracket_character(CodePointSet& set) {
    if (peek() == '\\') {
      if (take("\\b")) return std::optional<char32_t>('\b');
      return class_escape(set);
    }
    const utf8::Decoded decoded = utf8::decode(pattern_, at_);
    at_ += decoded.size;
    return std::optional<char32_t>(decoded.code_point);
  }

  Status bracket_item(CodePointSet& set) {
    ASSIGN_OR_RETURN(const std::optional<char32_t> low, bracket_character(set));
    const bool range = at_ + 1 < pattern_.size() && peek() == '-' && pattern_[at_ + 1] != ']';
    if (!range) {
      if (low) set.add(*low, *low);
      return ok_status();
    }
    if (!low) return fail("has a range that begins with a class");
    ++at_;
    ASSIGN_OR_RETURN(const std::optional<char32_t> high, bracket_character(set));
    if (!high) return fail("has a range that ends with a class");
    if (*high < *low) return fail("has a range whose ends are the wrong way round");
    set.add(*low, *high);
    return ok_status();
  }

  Expressions& expressions_;
  const std::string_view pattern_;
  const Spelling spelling_;
  std::size_t at_ = 0;
  bool wide_ = false;
  std::map<std::vector<std::pair<char32_t, char32_t>>, ExprId> classes_;
};

}  // namespace

Result<ExprId> parse_regex(Expressions& expressions, std::string_view pattern, Spelling spelling) {
  return RegexParser(expressions, pattern, spelling).parse();
}

Result<Dfa> compile_regex(Expressions& expressions, std::string_view pattern, Spelling spelling) {
  ASSIGN_OR_RETURN(const ExprId root, parse_regex(expressions, pattern, spelling));
  ASSIGN_OR_RETURN(Dfa dfa, determinise(expressions, root));
  return minimise(std::move(dfa), expressions.budget());
}

Result<Dfa> compile_regex_search(Expressions& expressions,
                                 std::string_view pattern,
                                 Spelling spelling) {
  ASSIGN_OR_RETURN(const ExprId root, parse_regex(expressions, pattern, spelling));
  DeterminiseOptions options;
  options.search = true;
  options.any = spell(expressions, CodePointSet().complement(), spelling);
  ASSIGN_OR_RETURN(Dfa dfa, determinise(expressions, root, options));
  return minimise(std::move(dfa), expressions.budget());
}

}  // namespace inferneo::text::grammar
