// Structured output of a request: the fields that ask for it (OpenAI's response_format, the
// structured_outputs object and the guided_* fields of vLLM, llama.cpp's grammar), and their
// compilation, with that of tool calls, into what the engine obeys. What is supported of JSON
// Schema, regular expressions and grammars: docs/structured_output.md.
// Thread: any; compilation takes up to limits::kGrammarCompileTimeout and runs on front threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "manager/manager.h"
#include "request/token_constraint.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

using ConstraintPtr = std::shared_ptr<const request::TokenConstraint>;

// What a request asks of the form of its answer. Bound field by field; two fields that both ask for
// something are refused.
struct StructuredOutput {
  enum class Kind : std::uint8_t { kNone, kJsonObject, kJsonSchema, kRegex, kChoice, kGrammar };

  Kind kind = Kind::kNone;
  std::string field;                 // that asked: errors name it and the place inside
  text::Value schema;                // kJsonSchema
  std::string source;                // kRegex, kGrammar
  std::vector<std::string> choices;  // kChoice
  bool compact = false;              // JSON without optional white space

  [[nodiscard]] bool given() const { return kind != Kind::kNone; }
};

// Binders, in the shape of Field::bind. Failures: invalid_argument or unsupported; where() is the
// place inside the field ("response_format.json_schema.schema/properties/a").
// {"type": "text" | "json_object" | "json_schema"}; also the Responses API's text.format, whose
// json_schema has name, schema and strict beside type. `field` names the place in messages.
Status bind_response_format(text::Value& value, StructuredOutput& output, const char* field);
// {json | regex | choice | grammar | json_object, disable_any_whitespace, ...}.
Status bind_structured_outputs(text::Value& value, StructuredOutput& output);
Status bind_guided_json(text::Value& value, StructuredOutput& output);  // an object or its text
Status bind_guided_regex(text::Value& value, StructuredOutput& output);
Status bind_guided_choice(text::Value& value, StructuredOutput& output);
// guided_grammar and llama.cpp's grammar: GBNF, or a Lark grammar.
Status bind_guided_grammar(text::Value& value, StructuredOutput& output, const char* field);

// Compiles, or finds in the model's cache. Null when nothing is asked for. Failures: those of the
// binders (syntax, unsupported keywords with their JSON pointer, budgets), and unsupported when the
// model has no tokenizer.
Result<ConstraintPtr> compile_structured_output(const manager::ServedModel& model,
                                                const StructuredOutput& output);

// How a model writes the arguments of a call.
enum class ToolArguments : std::uint8_t {
  kJson,      // {"city": "Rome", "days": 3}
  kPythonic,  // city="Rome", days=3
};

// How a model writes its tool calls. All texts are literal; where one holds the name of a token
// that the vocabulary marks special ("[TOOL_CALLS]"), that token is meant.
//   list_begin call (separator call)* list_end, each call: begin name middle arguments end
struct ToolCallForm {
  std::string list_begin;  // "[TOOL_CALLS]["
  std::string begin;       // "<tool_call>\n{\"name\": \""
  std::string middle;      // "\", \"arguments\": "
  std::string end;         // "}\n</tool_call>"
  std::string separator;   // "\n"
  std::string list_end;    // "]"
  ToolArguments arguments = ToolArguments::kJson;
  bool compact = false;  // arguments without optional white space
};

struct ToolSchema {
  std::string name;
  text::Value parameters;  // JSON Schema of an object; null: any object
  std::string field;       // "tools[0].function.parameters", for messages
};

// What the answer may be.
struct ToolCallRules {
  std::vector<ToolSchema> tools;  // that may be called, at least one
  ToolCallForm form;
  // False (tool_choice required or named): the answer is calls and nothing else. True (auto): any
  // text, in which each call that begins keeps to its tool's schema. A call begins with the text of
  // list_begin + begin up to its last character that is the same for all tools.
  bool text_allowed = false;
  std::int32_t call_count_max = 0;  // 0: any number
};

// Failures: as compile_structured_output.
Result<ConstraintPtr> compile_tool_calls(const manager::ServedModel& model,
                                         const ToolCallRules& rules);

}  // namespace inferneo::gateway::endpoints
