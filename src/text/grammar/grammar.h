// A grammar: rules over bytes. Made by the readers of schemas, regular expressions and grammar
// texts; linked into an automaton (automaton.h). Thread: one owner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/grammar/expression.h"

namespace inferneo::text::grammar {

// Characters between two bounds on their number, then a closing text: the body of a string with a
// length. Kept apart from other rules because a mask of any count follows from one walk.
struct CountedRule {
  // Rules with the same characters and the same end have the same shape. 0: characters of a JSON
  // string, which every automaton has.
  std::uint32_t shape = 0;
  Dfa character;           // one character; no word is the beginning of another
  std::uint8_t close = 0;  // byte behind the last one; begins no character
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};

struct Rule {
  std::string name;  // for messages
  ExprId body = 0;
  // Index into Grammar::counted plus one: then `body` has no meaning.
  std::uint32_t counted = 0;
  // Never copied into its callers, so that its masks are shared by all of them.
  bool apart = false;
};

struct Grammar {
  explicit Grammar(Budget& budget) : expressions(budget) {}

  Expressions expressions;
  std::vector<Rule> rules;
  std::vector<CountedRule> counted;
  std::uint32_t root = 0;

  std::uint32_t add_rule(std::string name, ExprId body) {
    rules.push_back({std::move(name), body, 0, false});
    return static_cast<std::uint32_t>(rules.size() - 1);
  }
};

}  // namespace inferneo::text::grammar
