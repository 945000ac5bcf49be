#include "gateway/endpoints/anthropic/request.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "gateway/endpoints/anthropic/blocks.h"

namespace inferneo::gateway::endpoints::anthropic {
namespace {

using text::Value;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

struct Binding : MessagesRequest {
  Value messages;
  Value tools;
  std::optional<std::string> system;
};

template <typename Target, typename T>
Status assign(Target& target, Result<T> read) {
  if (!read.has_value()) return std::move(read).error();
  target = *std::move(read);
  return ok_status();
}

Status bind_stop_sequences(Value& value, Binding& request) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of strings", value);
  if (list->size() > limits::kStopCountMax) {
    return invalid_argument(str(
        "holds ", list->size(), " strings, but at most ", limits::kStopCountMax, " are accepted"));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    Value item = (*list)[i];
    std::string where = str("stop_sequences[", i, "]");
    Result<std::string> text = take_string(item, limits::kStopSizeMax);
    if (!text.has_value()) return std::move(text).error().with_where(std::move(where));
    if (text->empty()) return invalid_argument("must not be empty").with_where(std::move(where));
    request.stop_sequences.push_back(*std::move(text));
  }
  return ok_status();
}

// Spec: {"type": auto | any | tool | none, "name", "disable_parallel_tool_use"}.
Status bind_tool_choice(Value& value, Binding& request) {
  if (value.as_dict() == nullptr) return wrong_value("an object with a type", value);
  const Value* type = value.find("type");
  const std::string* name = type != nullptr ? type->as_string() : nullptr;
  if (const Value* serial = value.find("disable_parallel_tool_use")) {
    if (!serial->is_null()) {
      Result<bool> off = read_bool(*serial);
      if (!off.has_value()) {
        return std::move(off).error().with_where("tool_choice.disable_parallel_tool_use");
      }
      request.chat.parallel_tool_calls = !*off;
    }
  }
  if (name != nullptr && *name == "auto") return ok_status();
  if (name != nullptr && *name == "none") {
    request.chat.tool_choice = ToolChoice::kNone;
    return ok_status();
  }
  if (name != nullptr && (*name == "any" || *name == "tool")) {
    request.chat.tool_choice = ToolChoice::kRequired;
    if (*name == "any") return ok_status();
    const Value* tool = value.find("name");
    if (tool == nullptr || tool->as_string() == nullptr) {
      return invalid_argument("must name a tool").with_where("tool_choice.name");
    }
    request.chat.tool_names = {*tool->as_string()};
    request.chat.parallel_tool_calls = false;
    return ok_status();
  }
  return invalid_argument("must be \"auto\", \"any\", \"tool\" or \"none\"")
      .with_where("tool_choice.type");
}

// Spec: {"type": enabled | disabled | adaptive, "budget_tokens"}.
Status bind_thinking(Value& value, Binding& request) {
  const Value* type = value.as_dict() != nullptr ? value.find("type") : nullptr;
  const std::string* name = type != nullptr ? type->as_string() : nullptr;
  if (name == nullptr || (*name != "enabled" && *name != "disabled" && *name != "adaptive")) {
    return invalid_argument("must be \"enabled\", \"disabled\" or \"adaptive\"")
        .with_where("thinking.type");
  }
  if (*name == "adaptive") return ok_status();
  request.chat.enable_thinking = *name == "enabled";
  request.chat.prompt.template_arguments.set("enable_thinking", Value(*name == "enabled"));
  const Value* budget = value.find("budget_tokens");
  if (budget == nullptr || budget->is_null() || *name == "disabled") return ok_status();
  Result<std::int32_t> tokens = read_int32(*budget, 1, kInt32Max);
  if (!tokens.has_value()) return std::move(tokens).error().with_where("thinking.budget_tokens");
  request.chat.reasoning_budget = *tokens;
  return ok_status();
}

// Spec: {"type": "json_schema", "schema": {...}}.
Status bind_format_object(Value& value, Binding& request, const std::string& where) {
  const Value* type = value.as_dict() != nullptr ? value.find("type") : nullptr;
  const Value* schema = type != nullptr ? value.find("schema") : nullptr;
  if (schema == nullptr || schema->as_dict() == nullptr || type->as_string() == nullptr ||
      *type->as_string() != "json_schema") {
    return invalid_argument("must be {\"type\": \"json_schema\", \"schema\": {...}}")
        .with_where(where);
  }
  StructuredOutput& structured = request.chat.structured;
  structured.kind = StructuredOutput::Kind::kJsonSchema;
  structured.field = where;
  structured.schema = *schema;
  return ok_status();
}

Status bind_output_format(Value& value, Binding& request) {
  return bind_format_object(value, request, "output_format");
}

// Spec: {"format": ..., "effort": ...}; how hard a model tries cannot be chosen.
Status bind_output_config(Value& value, Binding& request) {
  Value::Dict* config = value.as_dict();
  if (config == nullptr) return wrong_value("an object", value);
  for (auto& [name, member] : *config) {
    if (member.is_null() || name == "effort") continue;
    if (name != "format") {
      return invalid_argument("is not a field of output_config")
          .with_where(str("output_config.", printable(name)));
    }
    RETURN_IF_ERROR(bind_format_object(member, request, "output_config.format"));
  }
  return ok_status();
}

Status accept_anything(Value&, Binding&) { return ok_status(); }
Status accept_object(Value& value, Binding&) {
  return value.as_dict() != nullptr ? ok_status() : wrong_value("an object", value);
}
Status accept_string(Value& value, Binding&) {
  return value.as_string() != nullptr ? ok_status() : wrong_value("a string", value);
}

constexpr auto kWorks = FieldUse::kWorks;
constexpr auto kNoEffect = FieldUse::kNoEffect;
constexpr auto kRefused = FieldUse::kRefused;

#define BIND(expression) [](Value& value, Binding& request) -> Status { return expression; }

constexpr Field<Binding> kFields[] = {
    {{"model", kWorks, "name of a served model; may be left out when one is served"},
     BIND(assign(request.chat.model, take_string(value, limits::kNameFieldSizeMax)))},
    {{"messages",
      kWorks,
      "messages of user and assistant; blocks text, tool_use, tool_result and thinking; a last "
      "message of the assistant is continued"},
     BIND(assign(request.messages, translate_messages(value)))},
    {{"max_tokens", kWorks, "1 or more generated tokens; must be given"},
     BIND(assign(request.chat.max_tokens, read_int32(value, 1, kInt32Max)))},
    {{"system", kWorks, "a string or a list of text blocks"},
     BIND(assign(request.system, join_text(value, "system")))},
    {{"stop_sequences", kWorks, "up to 16 strings, each 1 to 256 bytes"}, bind_stop_sequences},
    {{"stream", kWorks, "send named server-sent events; default false"},
     BIND(assign(request.chat.stream, read_bool(value)))},
    {{"temperature", kWorks, "0 to 2; 0 is greedy; default from the model, else 1"},
     BIND(assign(request.chat.temperature, read_number(value, {.min = 0, .max = 2})))},
    {{"top_p", kWorks, "above 0, up to 1; default from the model, else 1"},
     BIND(assign(request.chat.top_p,
                 read_number(value, {.min = 0, .max = 1, .min_excluded = true})))},
    {{"top_k", kWorks, "1 or more; default from the model, else all"},
     BIND(assign(request.chat.top_k, read_int32(value, 1, kInt32Max)))},
    {{"tools", kWorks, "tools of the client: name, description, input_schema"},
     BIND(assign(request.tools, translate_tools(value)))},
    {{"tool_choice",
      kWorks,
      "{type: auto | any | tool | none, name, disable_parallel_tool_use}; default auto"},
     bind_tool_choice},
    {{"thinking", kWorks, "{type: enabled | disabled | adaptive, budget_tokens}"}, bind_thinking},
    {{"metadata", kNoEffect, "an identifier for abuse reports; no use is made of it"},
     accept_object},
    {{"service_tier", kNoEffect, "there is one tier"}, accept_string},
    {{"cache_control", kNoEffect, "the prefix cache finds shared prefixes by itself"},
     accept_object},
    {{"inference_geo", kNoEffect, "the server is where it is"}, accept_string},
    {{"betas", kNoEffect, "names of features to try; the ones served need no name"},
     accept_anything},
    {{"output_config",
      kWorks,
      "{format: {type: json_schema, schema}}: the form of the answer; effort has no effect"},
     bind_output_config},
    {{"output_format", kWorks, "the older name of output_config.format"}, bind_output_format},
    {{"container", kRefused, "the server runs no code"}, nullptr},
    {{"mcp_servers", kRefused, "the server does not reach the network"}, nullptr},
    {{"context_management", kRefused, "the conversation is taken as it is sent"}, nullptr},
};
#undef BIND

bool has_tool(const Value& tools, std::string_view name) {
  const Value::List* list = tools.as_list();
  return list != nullptr && std::any_of(list->begin(), list->end(), [&](const Value& tool) {
           return *tool.find("function")->find("name")->as_string() == name;
         });
}

Status check(Binding& request, bool counts_only) {
  if (request.messages.is_null()) {
    return invalid_argument("'messages' must be given").with_where("messages");
  }
  if (!counts_only && !request.chat.max_tokens) {
    return invalid_argument("'max_tokens' must be given").with_where("max_tokens");
  }
  const bool needs_tool = request.chat.tool_choice == ToolChoice::kRequired;
  const bool no_tools = request.tools.is_null() || request.tools.as_list()->empty();
  if (needs_tool && no_tools) {
    return invalid_argument("'tool_choice' needs 'tools'").with_where("tool_choice");
  }
  for (const std::string& name : request.chat.tool_names) {
    if (has_tool(request.tools, name)) continue;
    return invalid_argument(str("'tool_choice.name' is '", printable(name), "', which is no tool"))
        .with_where("tool_choice.name");
  }
  return ok_status();
}

// Messages and tools in the shape that a chat request checks once more.
Status fill_prompt(Binding& request) {
  Value::List& messages = *request.messages.as_list();
  const Value* role = messages.back().find("role");
  request.chat.prompt.continue_final_message = *role->as_string() == "assistant";
  if (request.system) {
    Value system;
    system.set("role", Value("system"));
    system.set("content", Value(*request.system));
    messages.insert(messages.begin(), std::move(system));
  }
  RETURN_IF_ERROR(at_field(bind_messages(request.messages, request.chat.prompt), "messages"));
  const bool show_tools = request.chat.tool_choice != ToolChoice::kNone;
  if (show_tools && !request.tools.is_null()) {
    RETURN_IF_ERROR(at_field(bind_tools(request.tools, request.chat.prompt), "tools"));
  }
  return check_chat_prompt(request.chat.prompt);
}

}  // namespace

Result<MessagesRequest> bind_messages_request(Value::Dict body, bool counts_only) {
  Binding request;
  RETURN_IF_ERROR(bind_fields(
      body, std::span<const Field<Binding>>(), std::span<const Field<Binding>>(kFields), request));
  RETURN_IF_ERROR(check(request, counts_only));
  request.chat.sampling.stop = request.stop_sequences;
  RETURN_IF_ERROR(fill_prompt(request));
  return MessagesRequest(std::move(request));
}

std::vector<FieldRow> messages_field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<Binding>>(kFields), rows);
  return rows;
}

}  // namespace inferneo::gateway::endpoints::anthropic
