// Rules for texts around structured parts: literal texts with special tokens in them, free text up
// to a mark, and tool calls. Thread: any (pure functions).
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/grammar/constraint_compiler.h"
#include "text/grammar/grammar.h"

namespace inferneo::text::grammar {

// `text`, where names of special tokens stand for these tokens.
ExprId marked_text(Grammar& grammar, const Tokenizer& tokenizer, std::string_view text);

// Any text that ends with the first occurrence of `mark`.
Result<ExprId> text_until(Grammar& grammar, const Tokenizer& tokenizer, std::string_view mark);

// The whole answer. Failures: as add_schema, where() beginning with the tool's field.
Result<ExprId> tool_calls_rule(Grammar& grammar,
                               const Tokenizer& tokenizer,
                               const ToolCallsShape& shape);

}  // namespace inferneo::text::grammar
