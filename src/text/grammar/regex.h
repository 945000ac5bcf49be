// Regular expressions to expressions over bytes. The subset that is regular and means the same in
// ECMA-262, Python and PCRE2: literals, classes, groups, alternation, quantifiers (lazy ones match
// the same texts), anchors, \d \w \s and their opposites, \p{category}, escapes. Where dialects
// differ on a class, the characters are generated that all count in it. Look-around, back
// references, word boundaries and inline flags are refused by name. Thread: any (pure functions).
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/grammar/code_points.h"
#include "text/grammar/expression.h"

namespace inferneo::text::grammar {

// Failures: invalid_argument or unsupported with the offset in the pattern.
Result<ExprId> parse_regex(Expressions& expressions, std::string_view pattern, Spelling spelling);

// Texts that match as a whole, as an automaton.
Result<Dfa> compile_regex(Expressions& expressions, std::string_view pattern, Spelling spelling);
// Texts in which the pattern occurs (JSON Schema's `pattern`).
Result<Dfa> compile_regex_search(Expressions& expressions,
                                 std::string_view pattern,
                                 Spelling spelling);

}  // namespace inferneo::text::grammar
