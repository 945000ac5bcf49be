// The rules of JSON text that schemas are made of. Every grammar over JSON begins with them, in
// this order, so that all constraints of a model share their masks. White space, where it is
// optional: none, one space, or a line break with up to 20 columns of indent; never at the end.
// Numbers are kept to what a 64-bit integer or a double holds. Spec: RFC 8259. Thread: any (pure
// functions).
#pragma once

#include <cstdint>
#include <string_view>

#include "text/grammar/automaton.h"
#include "text/grammar/grammar.h"

namespace inferneo::text::grammar {

inline constexpr std::uint32_t kJsonStringRest =
    0;                                            // behind the opening quote, with the closing one
inline constexpr std::uint32_t kJsonKeyRest = 1;  // the same, each character in one spelling
inline constexpr std::uint32_t kJsonCounted = 2;  // the shape of strings with a length
inline constexpr std::uint32_t kJsonSpace = 3;
inline constexpr std::uint32_t kJsonString = 4;
inline constexpr std::uint32_t kJsonNumber = 5;
inline constexpr std::uint32_t kJsonInteger = 6;
inline constexpr std::uint32_t kJsonValue = 7;
inline constexpr std::uint32_t kJsonObject = 8;
inline constexpr std::uint32_t kJsonArray = 9;
inline constexpr std::uint32_t kJsonCompactValue = 10;
inline constexpr std::uint32_t kJsonCompactObject = 11;
inline constexpr std::uint32_t kJsonCompactArray = 12;
inline constexpr std::uint32_t kJsonRuleCount = 13;

// Adds the rules to an empty grammar.
void add_json_rules(Grammar& grammar);
// They alone, linked.
Automaton json_automaton();

// One character of a JSON string, in every spelling.
ExprId json_character(Expressions& expressions);
// A string of JSON as a literal, with its quotes.
ExprId json_literal(Expressions& expressions, std::string_view text);
// The rule of strings of `min` to `max` characters, behind the opening quote.
std::uint32_t add_counted_string(Grammar& grammar, std::uint32_t min, std::uint32_t max);

}  // namespace inferneo::text::grammar
