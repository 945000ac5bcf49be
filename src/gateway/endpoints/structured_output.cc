#include "gateway/endpoints/structured_output.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/field.h"
#include "text/grammar/constraint_compiler.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;
using Kind = StructuredOutput::Kind;

// One request, one form.
Status claim(StructuredOutput& output, Kind kind, std::string field) {
  if (output.given()) {
    return invalid_argument(
        str("cannot be combined with '", output.field, "': both ask for a form of the output"));
  }
  output.kind = kind;
  output.field = std::move(field);
  return ok_status();
}

Status bind_source(Value& value, StructuredOutput& output, Kind kind, std::string field) {
  ASSIGN_OR_RETURN(std::string source, take_string(value, limits::kGrammarSourceSizeMax));
  if (source.empty()) return invalid_argument("must not be empty");
  RETURN_IF_ERROR(claim(output, kind, std::move(field)));
  output.source = std::move(source);
  return ok_status();
}

Status bind_schema(Value& value, StructuredOutput& output, std::string field) {
  Value schema;
  if (const std::string* text = value.as_string()) {
    if (text->size() > limits::kGrammarSourceSizeMax) {
      return invalid_argument(str("is a string of ",
                                  text->size(),
                                  " bytes, but at most ",
                                  limits::kGrammarSourceSizeMax,
                                  " are accepted"));
    }
    Result<Value> parsed = text::parse_json(*text);
    if (!parsed.has_value()) {
      return std::move(parsed).error().with_context("must be a JSON schema or its text");
    }
    schema = *std::move(parsed);
  } else {
    schema = std::move(value);
  }
  if (schema.as_dict() == nullptr && schema.as_bool() == nullptr) {
    return wrong_value("a JSON schema (an object)", schema);
  }
  RETURN_IF_ERROR(claim(output, Kind::kJsonSchema, std::move(field)));
  output.schema = std::move(schema);
  return ok_status();
}

Status bind_choices(Value& value, StructuredOutput& output, std::string field) {
  const Value::List* list = value.as_list();
  if (list == nullptr || list->empty()) return wrong_value("a list of at least one string", value);
  if (list->size() > limits::kGrammarChoiceCountMax) {
    return invalid_argument(str("has ",
                                list->size(),
                                " choices, but at most ",
                                limits::kGrammarChoiceCountMax,
                                " are accepted"));
  }
  std::vector<std::string> choices;
  for (const Value& item : *list) {
    const std::string* text = item.as_string();
    if (text == nullptr) return wrong_value("a list of strings", item);
    choices.push_back(*text);
  }
  RETURN_IF_ERROR(claim(output, Kind::kChoice, std::move(field)));
  output.choices = std::move(choices);
  return ok_status();
}

// The members of a json_schema format, whose schema stands at `field`.schema.
Status bind_json_schema(Value& format, StructuredOutput& output, const std::string& field) {
  Value::Dict* members = format.as_dict();
  if (members == nullptr) return wrong_value("an object with a schema", format).with_where(field);
  constexpr std::array<std::string_view, 5> kKnown{
      "name", "description", "schema", "strict", "type"};
  Value* schema = nullptr;
  for (auto& [name, value] : *members) {
    const std::string where = str(field, ".", printable(name));
    if (name == "schema") {
      schema = &value;
    } else if (name == "name" || name == "description") {
      if (!value.is_null() && value.as_string() == nullptr) {
        return wrong_value("a string", value).with_where(where);
      }
    } else if (name == "strict") {
      // A schema is kept either way.
      if (!value.is_null() && value.as_bool() == nullptr) {
        return wrong_value("true or false", value).with_where(where);
      }
    } else if (name != "type") {
      return unknown_field(name, kKnown).with_where(where);
    }
  }
  if (schema == nullptr || schema->is_null()) {
    return invalid_argument("must have a schema").with_where(field);
  }
  const std::string where = field + ".schema";
  Status status = bind_schema(*schema, output, where);
  return status.ok() ? ok_status() : std::move(status).with_where(where);
}

Status bind_switch(const Value& value, bool& on) {
  ASSIGN_OR_RETURN(on, read_bool(value));
  return ok_status();
}

Status bind_structured_member(const std::string& name, Value& value, StructuredOutput& output) {
  const std::string field = str("structured_outputs.", printable(name));
  bool on = false;
  if (name == "json") return bind_schema(value, output, field);
  if (name == "regex") return bind_source(value, output, Kind::kRegex, field);
  if (name == "grammar") return bind_source(value, output, Kind::kGrammar, field);
  if (name == "choice") return bind_choices(value, output, field);
  if (name == "json_object") {
    RETURN_IF_ERROR(bind_switch(value, on));
    return on ? claim(output, Kind::kJsonObject, field) : ok_status();
  }
  if (name == "disable_any_whitespace") return bind_switch(value, output.compact);
  if (name == "disable_fallback") return bind_switch(value, on);
  if (name == "disable_additional_properties") {
    RETURN_IF_ERROR(bind_switch(value, on));
    return on ? unsupported("is not supported: set additionalProperties in the schema")
              : ok_status();
  }
  if (name == "structural_tag" || name == "whitespace_pattern") {
    return unsupported("is not supported");
  }
  constexpr std::array<std::string_view, 7> kKnown{"json",
                                                   "regex",
                                                   "choice",
                                                   "grammar",
                                                   "json_object",
                                                   "disable_any_whitespace",
                                                   "disable_fallback"};
  return unknown_field(name, kKnown);
}

// The message names the field and, for schemas, the pointer inside of it.
Status located(Status status, const std::string& field) {
  const std::string inner = status.where();
  std::string where = inner.starts_with('#') ? field + inner : field;
  if (where.size() > 1 && where.ends_with('#')) where.pop_back();
  return at_field(std::move(status).with_where(std::move(where)), field);
}

Result<text::grammar::ConstraintCompiler*> compiler_of(const manager::ServedModel& model,
                                                       const std::string& field) {
  if (model.tokenizer == nullptr) {
    return unsupported(
               str("'", field, "' needs a tokenizer, but model '", model.name, "' has none"))
        .with_where(field);
  }
  return &model.constraints.compiler(model.tokenizer);
}

Result<ConstraintPtr> compile(text::grammar::ConstraintCompiler& compiler,
                              const StructuredOutput& output) {
  switch (output.kind) {
    case Kind::kJsonObject:
      return compiler.json_object(output.compact);
    case Kind::kJsonSchema:
      return compiler.json_schema(output.schema, output.compact);
    case Kind::kRegex:
      return compiler.regex(output.source);
    case Kind::kChoice:
      return compiler.choice(output.choices);
    case Kind::kGrammar:
      return compiler.grammar(output.source);
    case Kind::kNone:
      break;
  }
  return ConstraintPtr();
}

}  // namespace

Status bind_response_format(Value& value, StructuredOutput& output, const char* field) {
  Value::Dict* format = value.as_dict();
  const Value* type = value.find("type");
  if (format == nullptr || type == nullptr || type->as_string() == nullptr) {
    return wrong_value("an object with a type", value);
  }
  const std::string name = *type->as_string();
  if (name == "text") return ok_status();
  if (name == "json_object") return claim(output, Kind::kJsonObject, field);
  if (name != "json_schema") {
    return invalid_argument(
        str("must have the type \"text\", \"json_object\" or \"json_schema\", but "
            "has '",
            printable(name),
            "'"));
  }
  constexpr std::array<std::string_view, 2> kKnown{"type", "json_schema"};
  const auto nested = std::ranges::find(*format, "json_schema", &Value::Dict::value_type::first);
  if (nested == format->end()) {
    // The Responses API has these members beside the type; without any of them, one is missing.
    if (value.find("schema") == nullptr) {
      return invalid_argument("must have the member 'json_schema'").with_where(field);
    }
    return bind_json_schema(value, output, field);
  }
  for (const auto& [member, inner] : *format) {
    if (std::ranges::find(kKnown, member) == kKnown.end()) {
      return unknown_field(member, kKnown).with_where(str(field, ".", printable(member)));
    }
  }
  return bind_json_schema(nested->second, output, str(field, ".json_schema"));
}

Status bind_structured_outputs(Value& value, StructuredOutput& output) {
  Value::Dict* members = value.as_dict();
  if (members == nullptr) return wrong_value("an object", value);
  for (auto& [name, member] : *members) {
    if (member.is_null()) continue;
    Status status = bind_structured_member(name, member, output);
    if (status.ok()) continue;
    std::string where = str("structured_outputs.", printable(name));
    return std::move(status).with_where(std::move(where));
  }
  return ok_status();
}

Status bind_guided_json(Value& value, StructuredOutput& output) {
  return bind_schema(value, output, "guided_json");
}

Status bind_guided_regex(Value& value, StructuredOutput& output) {
  return bind_source(value, output, Kind::kRegex, "guided_regex");
}

Status bind_guided_choice(Value& value, StructuredOutput& output) {
  return bind_choices(value, output, "guided_choice");
}

Status bind_guided_grammar(Value& value, StructuredOutput& output, const char* field) {
  return bind_source(value, output, Kind::kGrammar, field);
}

Result<ConstraintPtr> compile_structured_output(const manager::ServedModel& model,
                                                const StructuredOutput& output) {
  if (!output.given()) return ConstraintPtr();
  ASSIGN_OR_RETURN(text::grammar::ConstraintCompiler* const compiler,
                   compiler_of(model, output.field));
  Result<ConstraintPtr> constraint = compile(*compiler, output);
  if (!constraint.has_value()) return located(std::move(constraint).error(), output.field);
  return constraint;
}

Result<ConstraintPtr> compile_tool_calls(const manager::ServedModel& model,
                                         const ToolCallRules& rules) {
  ASSIGN_OR_RETURN(text::grammar::ConstraintCompiler* const compiler, compiler_of(model, "tools"));
  text::grammar::ToolCallsShape shape;
  shape.call = {.list_begin = rules.form.list_begin,
                .begin = rules.form.begin,
                .middle = rules.form.middle,
                .end = rules.form.end,
                .separator = rules.form.separator,
                .list_end = rules.form.list_end,
                .pythonic = rules.form.arguments == ToolArguments::kPythonic,
                .compact = rules.form.compact};
  shape.text_allowed = rules.text_allowed;
  shape.call_count_max = rules.call_count_max;
  for (const ToolSchema& tool : rules.tools) {
    shape.tools.push_back({.name = tool.name,
                           .parameters = tool.parameters.is_null() ? nullptr : &tool.parameters,
                           .field = tool.field});
  }
  Result<ConstraintPtr> constraint = compiler->tool_calls(shape);
  if (constraint.has_value()) return constraint;
  // The failure begins with the field of the tool that it is about.
  Status status = std::move(constraint).error();
  if (status.where().empty()) status = std::move(status).with_where("tools");
  const std::string field = status.where();
  return at_field(std::move(status), field);
}

}  // namespace inferneo::gateway::endpoints
