#include "text/grammar/json_rules.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "text/grammar/code_points.h"
#include "text/grammar/determinise.h"

namespace inferneo::text::grammar {
namespace {

constexpr std::uint32_t kIndentMax = 20;

ExprId byte_of(Expressions& e, std::string_view bytes) {
  std::vector<ExprId> options;
  for (const char c : bytes) {
    options.push_back(e.bytes(static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c)));
  }
  return e.choice(std::move(options));
}

ExprId digit(Expressions& e) { return e.bytes('0', '9'); }

ExprId hex(Expressions& e) {
  return e.choice({e.bytes('0', '9'), e.bytes('a', 'f'), e.bytes('A', 'F')});
}

// Four hexadecimal digits of a character, or two groups that make one; halves are no characters.
ExprId unicode_escape(Expressions& e) {
  const ExprId plain =
      e.sequence({e.choice({e.bytes('0', '9'), byte_of(e, "abcefABCEF")}), e.repeat(hex(e), 3, 3)});
  const ExprId below = e.sequence({byte_of(e, "dD"), e.bytes('0', '7'), e.repeat(hex(e), 2, 2)});
  const ExprId pair = e.sequence({byte_of(e, "dD"),
                                  byte_of(e, "89abAB"),
                                  e.repeat(hex(e), 2, 2),
                                  e.literal("\\u"),
                                  byte_of(e, "dD"),
                                  byte_of(e, "cdefCDEF"),
                                  e.repeat(hex(e), 2, 2)});
  return e.sequence({e.literal("u"), e.choice({plain, below, pair})});
}

// 0, or up to `digits_max` digits that do not begin with 0.
ExprId natural(Expressions& e, std::uint32_t digits_max) {
  return e.choice(
      {e.literal("0"), e.sequence({e.bytes('1', '9'), e.repeat(digit(e), 0, digits_max - 1)})});
}

ExprId number(Expressions& e) {
  const ExprId fraction = e.sequence({e.literal("."), e.repeat(digit(e), 1, 16)});
  const ExprId exponent =
      e.sequence({byte_of(e, "eE"), e.optional(byte_of(e, "+-")), e.repeat(digit(e), 1, 2)});
  return e.sequence(
      {e.optional(e.literal("-")), natural(e, 16), e.optional(fraction), e.optional(exponent)});
}

ExprId integer(Expressions& e) {
  return e.choice(
      {e.literal("0"),
       e.sequence({e.optional(e.literal("-")), e.bytes('1', '9'), e.repeat(digit(e), 0, 17)})});
}

// `open` ... `close` around items with commas between them.
ExprId list(
    Expressions& e, std::string_view open, ExprId item, std::string_view close, ExprId space) {
  const ExprId more = e.sequence({e.literal(","), space, item});
  const ExprId items = e.sequence({item, e.repeat(more, 0, kRepeatForever), space});
  return e.sequence({e.literal(open), space, e.optional(items), e.literal(close)});
}

void add_values(Grammar& grammar, std::uint32_t first, bool compact) {
  Expressions& e = grammar.expressions;
  const ExprId space = compact ? e.empty() : e.rule(kJsonSpace);
  const ExprId value = e.rule(first);
  const std::uint32_t object = first + 1;
  const std::uint32_t array = first + 2;
  grammar.add_rule("json value",
                   e.choice({e.rule(kJsonString),
                             e.rule(kJsonNumber),
                             e.literal("true"),
                             e.literal("false"),
                             e.literal("null"),
                             e.rule(object),
                             e.rule(array)}));
  const ExprId pair = e.sequence({e.rule(kJsonString), e.literal(":"), space, value});
  grammar.add_rule("json object", list(e, "{", pair, "}", space));
  grammar.add_rule("json array", list(e, "[", value, "]", space));
}

}  // namespace

ExprId json_character(Expressions& e) {
  const ExprId raw =
      spell(e, CodePointSet{{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}}, Spelling::kPlain);
  const ExprId escape =
      e.sequence({e.literal("\\"), e.choice({byte_of(e, "\"\\/bfnrt"), unicode_escape(e)})});
  return e.choice({raw, escape});
}

ExprId json_literal(Expressions& e, std::string_view text) {
  return e.literal('"' + spell_text(text, Spelling::kInJson) + '"');
}

std::uint32_t add_counted_string(Grammar& grammar, std::uint32_t min, std::uint32_t max) {
  if (grammar.counted.empty()) {
    auto dfa = determinise(grammar.expressions, json_character(grammar.expressions));
    grammar.counted.push_back({0, dfa.has_value() ? *std::move(dfa) : Dfa{}, '"', 0, 0});
  }
  CountedRule rule = grammar.counted.front();
  rule.min = min;
  rule.max = max;
  grammar.counted.push_back(std::move(rule));
  const std::uint32_t index = grammar.add_rule("string", 0);
  grammar.rules[index].counted = static_cast<std::uint32_t>(grammar.counted.size());
  return index;
}

void add_json_rules(Grammar& grammar) {
  CHECK(grammar.rules.empty());
  Expressions& e = grammar.expressions;
  const ExprId quote = e.literal("\"");
  grammar.add_rule("json string",
                   e.sequence({e.repeat(json_character(e), 0, kRepeatForever), quote}));
  const ExprId key = spell(e, CodePointSet().complement(), Spelling::kInJson);
  grammar.add_rule("json key", e.sequence({e.repeat(key, 0, kRepeatForever), quote}));
  (void)add_counted_string(grammar, 0, 1);
  const ExprId indent = e.repeat(byte_of(e, " \t"), 0, kIndentMax);
  grammar.add_rule("json space",
                   e.optional(e.choice({e.literal(" "), e.sequence({e.literal("\n"), indent})})));
  grammar.add_rule("json string", e.sequence({quote, e.rule(kJsonStringRest)}));
  grammar.add_rule("json number", number(e));
  grammar.add_rule("json integer", integer(e));
  add_values(grammar, kJsonValue, false);
  add_values(grammar, kJsonCompactValue, true);
  CHECK(grammar.rules.size() == kJsonRuleCount);
  for (Rule& rule : grammar.rules) rule.apart = true;
  grammar.root = kJsonValue;
}

Automaton json_automaton() {
  Budget budget;
  Grammar grammar(budget);
  add_json_rules(grammar);
  Result<Automaton> linked = Automaton::link(grammar);
  CHECK(linked.has_value());
  return *std::move(linked);
}

}  // namespace inferneo::text::grammar
