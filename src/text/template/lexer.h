// Cuts a template's source into tokens, and applies the white space rules (trim_blocks,
// lstrip_blocks, "-" and "+" marks) on the way.
// Thread: any (pure function). Spec: lexer of jinja2 3.1 with the settings of transformers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace inferneo::text::jinja {

enum class TokenKind : std::uint8_t {
  kData,           // text between tags
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kName,
  kString,   // unescaped
  kInteger,  // digits, without underscores
  kFloat,
  kOperator,
  kEnd,
};

struct Position {
  std::int32_t line = 1;
  std::int32_t column = 1;  // in bytes
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Position at;
};

// Failures: invalid_argument with line and column.
Result<std::vector<Token>> tokenize_template(std::string_view source);

// "chat template line 3, column 7": the `where` of every failure of a template.
std::string place(Position at);
Status template_error(Position at, std::string_view message);        // invalid_argument
Status template_unsupported(Position at, std::string_view message);  // unsupported

}  // namespace inferneo::text::jinja
