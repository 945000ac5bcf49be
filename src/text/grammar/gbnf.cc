#include "text/grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/grammar/code_points.h"
#include "text/grammar/regex.h"

namespace inferneo::text::grammar {
namespace {

constexpr std::uint32_t kRepeatCountMax = 100'000;

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '-'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Spec: lark/grammars/common.lark.
struct CommonTerminal {
  std::string_view name;
  std::string_view pattern;
};
constexpr CommonTerminal kCommonTerminals[] = {
    {"DIGIT", "[0-9]"},
    {"HEXDIGIT", "[0-9a-fA-F]"},
    {"INT", "[0-9]+"},
    {"SIGNED_INT", "[+-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
    {"FLOAT", "[0-9]+[eE][+-]?[0-9]+|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"NUMBER", "[0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"},
    {"SIGNED_NUMBER",
     "[+-]?([0-9]+([eE][+-]?[0-9]+)?|([0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?)"},
    {"ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\[^\\n])*\""},
    {"LCASE_LETTER", "[a-z]"},
    {"UCASE_LETTER", "[A-Z]"},
    {"LETTER", "[a-zA-Z]"},
    {"WORD", "[a-zA-Z]+"},
    {"CNAME", "[a-zA-Z_][a-zA-Z0-9_]*"},
    {"WS_INLINE", "[ \\t]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"CR", "\\r"},
    {"LF", "\\n"},
    {"NEWLINE", "(\\r?\\n)+"},
};

class GrammarReader {
 public:
  GrammarReader(Grammar& grammar, std::string_view source, bool lark)
      : grammar_(grammar), e_(grammar.expressions), source_(source), lark_(lark) {}

  Status read() {
    skip(true);
    while (!done()) {
      RETURN_IF_ERROR(lark_ ? statement() : definition());
      skip(true);
    }
    for (const auto& [name, rule] : rules_) {
      if (rule.defined) continue;
      return invalid_argument(str("the rule '", printable(name), "' is used but not defined"))
          .with_where(rule.first_use);
    }
    const std::string start = lark_ ? "start" : "root";
    const auto found = rules_.find(start);
    if (found == rules_.end()) {
      return invalid_argument(str("has no rule '", start, "', with which a text begins"));
    }
    grammar_.root = found->second.index;
    if (ignored_) surround_start();
    return ok_status();
  }

 private:
  struct NamedRule {
    std::uint32_t index = 0;
    bool defined = false;
    std::string first_use;
  };

  [[nodiscard]] bool done() const { return at_ >= source_.size(); }
  [[nodiscard]] char peek() const { return source_[at_]; }
  [[nodiscard]] bool looking_at(std::string_view text) const {
    return source_.substr(at_).starts_with(text);
  }
  bool take(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }

  [[nodiscard]] std::string place() const {
    const std::string_view before = source_.substr(0, at_);
    const auto line = std::ranges::count(before, '\n') + 1;
    const std::size_t begin = before.rfind('\n') + 1;
    return str("line ", line, ", column ", at_ - begin + 1);
  }
  [[nodiscard]] Status fail(std::string_view what) const {
    std::string where = place();
    return invalid_argument(str(what, " at ", where)).with_where(std::move(where));
  }

  // Blanks and comments; line ends too when `lines`.
  void skip(bool lines) {
    while (!done()) {
      const bool comment = lark_ ? looking_at("//") : peek() == '#';
      if (comment) {
        while (!done() && peek() != '\n') ++at_;
      } else if (is_blank(peek()) && (lines || peek() != '\n')) {
        ++at_;
      } else {
        return;
      }
    }
  }

  Result<std::string> name() {
    if (done() || !is_name_start(peek())) return fail("expected the name of a rule");
    const std::size_t begin = at_;
    while (!done() && is_name(peek())) ++at_;
    return std::string(source_.substr(begin, at_ - begin));
  }

  NamedRule& rule_named(const std::string& name) {
    const auto [found, added] = rules_.try_emplace(name);
    if (added) {
      found->second.index = grammar_.add_rule(name, e_.never());
      found->second.first_use = place();
    }
    return found->second;
  }

  Status define(const std::string& name, ExprId body) {
    NamedRule& rule = rule_named(name);
    if (rule.defined)
      return fail(str("the rule '", printable(name), "' is defined twice, the second time"));
    if (grammar_.rules.size() > limits::kGrammarRuleCountMax) return Budget::failure();
    rule.defined = true;
    grammar_.rules[rule.index].body = without_left_recursion(rule.index, body);
    return ok_status();
  }

  // a: a x | b  is the same as  a: b x*.
  ExprId without_left_recursion(std::uint32_t rule, ExprId body) {
    std::vector<ExprId> heads;
    std::vector<ExprId> tails;
    const ExprNode node = e_.node(body);
    std::vector<ExprId> options{body};
    if (node.kind == ExprNode::Kind::kChoice) {
      const auto children = e_.children(node);
      options.assign(children.begin(), children.end());
    }
    for (const ExprId option : options) {
      const ExprNode head = e_.node(option);
      if (head.kind == ExprNode::Kind::kRule && head.a == rule) continue;
      const bool recurs = head.kind == ExprNode::Kind::kSequence && head.count > 0 && [&] {
        const ExprNode first = e_.node(e_.children(head).front());
        return first.kind == ExprNode::Kind::kRule && first.a == rule;
      }();
      if (!recurs) {
        heads.push_back(option);
        continue;
      }
      const auto children = e_.children(head).subspan(1);
      tails.push_back(e_.sequence({children.begin(), children.end()}));
    }
    if (tails.empty() && heads.size() == options.size()) return body;
    const ExprId rest = e_.repeat(e_.choice(std::move(tails)), 0, kRepeatForever);
    return e_.sequence({e_.choice(std::move(heads)), rest});
  }

  // name ::= alternatives
  Status definition() {
    ASSIGN_OR_RETURN(const std::string rule, name());
    skip(false);
    if (!take("::="))
      return fail(str("expected '::=' behind the rule name '", printable(rule), "'"));
    skip(true);
    (void)rule_named(rule);
    ASSIGN_OR_RETURN(const ExprId body, alternatives(0));
    if (!done() && peek() != '\n' && !ends_line_) return fail("expected the end of the rule");
    return define(rule, body);
  }

  Status statement() {
    if (looking_at("%")) return directive();
    (void)(take("?") || take("!"));
    ASSIGN_OR_RETURN(const std::string rule, name());
    skip(false);
    if (looking_at("{")) return fail("rule templates are not supported");
    if (take(".")) {
      while (!done() && peek() >= '0' && peek() <= '9') ++at_;
      skip(false);
    }
    if (!take(":")) return fail(str("expected ':' behind the rule name '", printable(rule), "'"));
    skip(true);
    (void)rule_named(rule);
    in_terminal_ = is_terminal(rule);
    ASSIGN_OR_RETURN(const ExprId body, alternatives(0));
    in_terminal_ = false;
    return define(rule, body);
  }

  static bool is_terminal(const std::string& name) {
    return std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; });
  }

  Status directive() {
    if (take("%import")) {
      skip(false);
      if (!take("common.")) return fail("only %import common.NAME is supported,");
      ASSIGN_OR_RETURN(const std::string imported, name());
      std::string local = imported;
      skip(false);
      if (take("->")) {
        skip(false);
        ASSIGN_OR_RETURN(local, name());
      }
      const auto* found = std::ranges::find(kCommonTerminals, imported, &CommonTerminal::name);
      if (found == std::end(kCommonTerminals)) {
        return fail(str("common.", printable(imported), " is not known,"));
      }
      ASSIGN_OR_RETURN(const ExprId body, parse_regex(e_, found->pattern, Spelling::kPlain));
      return define(local, body);
    }
    if (take("%ignore")) {
      skip(false);
      in_terminal_ = true;
      ASSIGN_OR_RETURN(const ExprId ignored, alternatives(0));
      in_terminal_ = false;
      if (!ignored_) {
        ignored_ = grammar_.add_rule("%ignore", e_.never());
        grammar_.rules[*ignored_].body = e_.empty();
      }
      ignored_choices_.push_back(ignored);
      grammar_.rules[*ignored_].body = e_.repeat(e_.choice(ignored_choices_), 0, kRepeatForever);
      return ok_status();
    }
    return fail("only %import and %ignore are supported,");
  }

  void surround_start() {
    const ExprId start = e_.rule(grammar_.root);
    grammar_.root = grammar_.add_rule("start", e_.sequence({e_.rule(*ignored_), start}));
  }

  Result<ExprId> alternatives(std::size_t depth) {
    if (depth > limits::kGrammarDepthMax) {
      return invalid_argument(str("nests groups deeper than ", limits::kGrammarDepthMax, " levels"))
          .with_where(place());
    }
    std::vector<ExprId> options;
    for (;;) {
      ASSIGN_OR_RETURN(const ExprId option, sequence(depth));
      options.push_back(option);
      // An alternative may stand on a line of its own.
      const std::size_t mark = at_;
      skip(true);
      if (!done() && peek() == '|') {
        ++at_;
        skip(true);
        continue;
      }
      if (depth == 0) {
        ends_line_ = at_ != mark || done();
        at_ = mark;
      }
      return e_.choice(std::move(options));
    }
  }

  // Inside of groups line ends are blanks; at the top a line end ends the rule unless the next line
  // goes on with "|".
  Result<ExprId> sequence(std::size_t depth) {
    std::vector<ExprId> parts;
    for (;;) {
      skip(depth > 0);
      if (done() || peek() == '|' || peek() == ')' || peek() == ']' || peek() == '\n') break;
      if (lark_ && looking_at("->")) {
        at_ += 2;
        skip(false);
        RETURN_IF_ERROR(name().status());
        continue;
      }
      if (lark_ && depth == 0 && starts_definition()) break;
      ASSIGN_OR_RETURN(ExprId part, item(depth));
      ASSIGN_OR_RETURN(part, repeated(part));
      parts.push_back(part);
    }
    return e_.sequence(std::move(parts));
  }

  [[nodiscard]] bool starts_definition() const { return peek() == '%'; }

  Result<ExprId> item(std::size_t depth) {
    const char c = peek();
    if (c == '"' || (lark_ && c == '\'')) return literal(c);
    if (c == '(') return group(depth, ')');
    if (lark_) {
      if (c == '/') return slashed();
      if (c == '[') {
        ASSIGN_OR_RETURN(const ExprId inner, group(depth, ']'));
        return e_.optional(inner);
      }
    } else {
      if (c == '[') return character_class();
      if (c == '.') {
        ++at_;
        return spell(e_, CodePointSet().complement(), Spelling::kPlain);
      }
    }
    if (is_name_start(c)) return reference();
    if (c == '*' || c == '+' || c == '?' || c == '{')
      return fail("a quantifier with nothing before it");
    return fail("an unexpected character");
  }

  Result<ExprId> reference() {
    ASSIGN_OR_RETURN(const std::string used, name());
    const ExprId call = e_.rule(rule_named(used).index);
    return is_terminal(used) ? ignoring(call) : call;
  }

  // Behind each terminal of a rule what is ignored may stand.
  ExprId ignoring(ExprId terminal) {
    if (!lark_ || in_terminal_) return terminal;
    if (!ignored_) {
      ignored_ = grammar_.add_rule("%ignore", e_.empty());
    }
    return e_.sequence({terminal, e_.rule(*ignored_)});
  }

  Result<ExprId> group(std::size_t depth, char close) {
    const std::size_t open = at_;
    ++at_;
    ASSIGN_OR_RETURN(const ExprId inner, alternatives(depth + 1));
    skip(true);
    if (done() || peek() != close) {
      at_ = open;
      return fail("a group without its end");
    }
    ++at_;
    return inner;
  }

  std::optional<std::uint32_t> number() {
    std::optional<std::uint32_t> value;
    while (!done() && peek() >= '0' && peek() <= '9') {
      value = std::min(value.value_or(0) * 10 + static_cast<std::uint32_t>(peek() - '0'),
                       kRepeatCountMax + 1);
      ++at_;
    }
    return value;
  }

  Result<ExprId> repeated(ExprId inner) {
    std::uint32_t min = 0;
    std::uint32_t max = kRepeatForever;
    const std::size_t before = at_;
    RETURN_IF_ERROR(quantifier(min, max));
    if (at_ == before) return inner;
    const std::size_t behind = at_;
    std::uint32_t ignored = 0;
    RETURN_IF_ERROR(quantifier(ignored, ignored));
    // Why: nested repetitions say nothing that one cannot.
    if (at_ != behind) return fail("two quantifiers in a row");
    return e_.repeat(inner, min, max);
  }

  // Leaves everything as it is where none stands.
  Status quantifier(std::uint32_t& min, std::uint32_t& max) {
    if (lark_) {
      const std::size_t mark = at_;
      skip(false);
      if (done() || peek() != '~') at_ = mark;
    }
    if (done() || take("*")) return ok_status();
    if (take("+")) {
      min = 1;
    } else if (take("?")) {
      max = 1;
    } else if (!lark_ && take("{")) {
      return counts(",", "}", min, max);
    } else if (lark_ && take("~")) {
      return counts("..", "", min, max);
    }
    return ok_status();
  }

  Status counts(std::string_view between,
                std::string_view end,
                std::uint32_t& min,
                std::uint32_t& max) {
    skip(false);
    const std::optional<std::uint32_t> low = number();
    skip(false);
    if (!low) return fail("expected a count");
    min = *low;
    max = *low;
    if (take(between)) {
      skip(false);
      const std::optional<std::uint32_t> high = number();
      max = high.value_or(kRepeatForever);
      if (lark_ && !high) return fail("expected a count");
      skip(false);
    }
    if (!take(end)) return fail("expected '}' behind a count");
    if (min > kRepeatCountMax || (max != kRepeatForever && max > kRepeatCountMax)) {
      return fail(str("more than ", kRepeatCountMax, " repetitions"));
    }
    if (max < min) return fail("a quantifier whose bounds are the wrong way round");
    return ok_status();
  }

  static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }

  // One character of a literal or a class.
  Result<char32_t> character() {
    if (peek() != '\\') {
      const utf8::Decoded decoded = utf8::decode(source_, at_);
      at_ += decoded.size;
      return decoded.code_point;
    }
    ++at_;
    if (done()) return fail("an escape without its end");
    const char kind = source_[at_++];
    const auto hex = [&](int digits) -> Result<char32_t> {
      char32_t value = 0;
      for (int i = 0; i < digits; ++i) {
        const int digit = done() ? -1 : hex_digit(peek());
        if (digit < 0) return fail("an incomplete hexadecimal escape");
        value = value * 16 + static_cast<char32_t>(digit);
        ++at_;
      }
      if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        return fail("an escape that is no Unicode character");
      }
      return value;
    };
    switch (kind) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'f':
        return U'\f';
      case 'v':
        return U'\v';
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      case '\\':
      case '"':
      case '\'':
      case '[':
      case ']':
      case '-':
      case '^':
      case '/':
        return static_cast<char32_t>(kind);
      default:
        return fail(str("the unknown escape '\\", printable(std::string_view(&kind, 1)), "'"));
    }
  }

  Result<ExprId> literal(char quote) {
    const std::size_t open = at_;
    ++at_;
    std::vector<char32_t> characters;
    while (!done() && peek() != quote) {
      if (peek() == '\n') break;
      ASSIGN_OR_RETURN(const char32_t c, character());
      characters.push_back(c);
    }
    if (done() || peek() != quote) {
      at_ = open;
      return fail("a literal without its closing quote");
    }
    ++at_;
    const bool any_case = lark_ && !done() && peek() == 'i' && take("i");
    if (!any_case) {
      std::string text;
      for (const char32_t c : characters) utf8::append(text, c);
      return ignoring(e_.literal(text));
    }
    std::vector<ExprId> parts;
    for (const char32_t c : characters) {
      CodePointSet both{{c, c}};
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) both.add(c ^ 32U, c ^ 32U);
      parts.push_back(spell(e_, both, Spelling::kPlain));
    }
    return ignoring(e_.sequence(std::move(parts)));
  }

  Result<ExprId> character_class() {
    const std::size_t open = at_;
    ++at_;
    const bool negated = take("^");
    CodePointSet set;
    while (!done() && peek() != ']') {
      if (peek() == '\n') break;
      ASSIGN_OR_RETURN(const char32_t low, character());
      char32_t high = low;
      if (at_ + 1 < source_.size() && peek() == '-' && source_[at_ + 1] != ']') {
        ++at_;
        ASSIGN_OR_RETURN(high, character());
      }
      if (high < low) return fail("a range whose ends are the wrong way round");
      set.add(low, high);
    }
    if (done() || peek() != ']') {
      at_ = open;
      return fail("a class without its end");
    }
    ++at_;
    return spell(e_, negated ? set.complement() : set, Spelling::kPlain);
  }

  // /regex/flags
  Result<ExprId> slashed() {
    const std::size_t open = at_;
    ++at_;
    std::string pattern;
    while (!done() && peek() != '/' && peek() != '\n') {
      if (looking_at("\\/")) {
        pattern += '/';
        at_ += 2;
        continue;
      }
      if (peek() == '\\' && at_ + 1 < source_.size()) pattern += source_[at_++];
      pattern += source_[at_++];
    }
    if (done() || peek() != '/') {
      at_ = open;
      return fail("a regular expression without its closing '/'");
    }
    const std::string where = place();
    ++at_;
    if (!done() && is_name_start(peek()))
      return fail("flags of regular expressions are not supported,");
    Result<Dfa> dfa = compile_regex(e_, pattern, Spelling::kPlain);
    if (!dfa.has_value()) {
      return std::move(dfa)
          .error()
          .with_context(str("the regular expression at ", where))
          .with_where(where);
    }
    return ignoring(e_.dfa(*std::move(dfa)));
  }

  Grammar& grammar_;
  Expressions& e_;
  const std::string_view source_;
  const bool lark_;
  std::size_t at_ = 0;
  bool ends_line_ = false;
  bool in_terminal_ = false;
  std::map<std::string, NamedRule> rules_;
  std::optional<std::uint32_t> ignored_;
  std::vector<ExprId> ignored_choices_;
};

// GBNF when any line defines a rule with "::=".
bool is_lark(std::string_view source) {
  bool quoted = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    if (c == '\\') {
      ++i;
    } else if (c == '\n') {
      quoted = false;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && source.substr(i).starts_with("::=")) {
      return false;
    }
  }
  return true;
}

}  // namespace

Status add_grammar_text(Grammar& grammar, std::string_view source) {
  if (source.size() > limits::kGrammarSourceSizeMax) {
    return invalid_argument(str("has ",
                                source.size(),
                                " bytes, but at most ",
                                limits::kGrammarSourceSizeMax,
                                " are accepted"));
  }
  if (!utf8::is_valid(source)) return invalid_argument("is not valid UTF-8");
  return GrammarReader(grammar, source, is_lark(source)).read();
}

}  // namespace inferneo::text::grammar
