// Grammar texts to grammars: GBNF as llama.cpp reads it, and a Lark-like EBNF. Which of both a text
// is shows in its rule definitions ("name ::= ..." or "name: ...").
// GBNF: "literal", [class], [^class], ., (group), *, +, ?, {m}, {m,}, {m,n}, |, # comments; the
// rule `root` is the start. EBNF: "literal", "literal"i, /regex/, rules and TERMINALS, (group),
// [optional], *, +, ?, ~ m..n, |,
// // comments, %import common.NAME of the usual names, %ignore; the rule `start` is the start.
// Rules may call themselves; a rule that begins with itself is rewritten as a repetition.
// Spec: llama.cpp, grammars/README.md; Lark, docs/grammar.md.
// Thread: any (pure functions).
#pragma once

#include <string_view>

#include "base/status.h"
#include "text/grammar/grammar.h"

namespace inferneo::text::grammar {

// Adds the rules and sets the root. Failures: invalid_argument with line and column.
Status add_grammar_text(Grammar& grammar, std::string_view source);

}  // namespace inferneo::text::grammar
