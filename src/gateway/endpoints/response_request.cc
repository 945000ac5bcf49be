#include "gateway/endpoints/response_request.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/chat_messages.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kNameSizeMax = 256;

void repeat(ResponseRequest& request, std::string_view name, const Value& value) {
  request.repeated.set(name, value);
}

Status bind_input(Value& value, ResponseRequest& request) {
  ASSIGN_OR_RETURN(request.input, take_response_input(value));
  request.has_input = true;
  return ok_status();
}

Status bind_instructions(Value& value, ResponseRequest& request) {
  repeat(request, "instructions", value);
  ASSIGN_OR_RETURN(request.instructions, take_string(value, limits::kHttpBodySizeMax));
  return ok_status();
}

Status bind_previous_response_id(Value& value, ResponseRequest& request) {
  repeat(request, "previous_response_id", value);
  ASSIGN_OR_RETURN(request.previous_response_id, take_string(value, kNameSizeMax));
  return ok_status();
}

Status bind_max_output_tokens(Value& value, ResponseRequest& request) {
  repeat(request, "max_output_tokens", value);
  ASSIGN_OR_RETURN(request.max_tokens, read_int32(value, 1, kInt32Max));
  return ok_status();
}

Status bind_max_tool_calls(Value& value, ResponseRequest& request) {
  repeat(request, "max_tool_calls", value);
  return read_int32(value, 1, kInt32Max).status();
}

Status bind_metadata(Value& value, ResponseRequest& request) {
  constexpr std::size_t kPairCountMax = 16;
  constexpr std::size_t kKeySizeMax = 64;
  constexpr std::size_t kValueSizeMax = 512;
  const Value::Dict* pairs = value.as_dict();
  if (pairs == nullptr) return wrong_value("an object of strings", value);
  if (pairs->size() > kPairCountMax) {
    return invalid_argument(
        str("has ", pairs->size(), " entries, but at most ", kPairCountMax, " are accepted"));
  }
  for (const auto& [name, text] : *pairs) {
    if (text.as_string() == nullptr) return wrong_value("an object of strings", text);
    if (name.size() > kKeySizeMax || text.as_string()->size() > kValueSizeMax) {
      return invalid_argument(str("has an entry that is longer than ",
                                  kKeySizeMax,
                                  " bytes of name or ",
                                  kValueSizeMax,
                                  " bytes of value"));
    }
  }
  repeat(request, "metadata", value);
  return ok_status();
}

Status bind_store(Value& value, ResponseRequest& request) {
  repeat(request, "store", value);
  ASSIGN_OR_RETURN(request.store, read_bool(value));
  return ok_status();
}

Status bind_background(Value& value, ResponseRequest& request) {
  repeat(request, "background", value);
  ASSIGN_OR_RETURN(request.background, read_bool(value));
  return ok_status();
}

Status bind_tools_of_response(Value& value, ResponseRequest& request) {
  ASSIGN_OR_RETURN(Value tools, take_response_tools(value));
  repeat(request, "tools", value);
  return bind_tools(tools, request.prompt);
}

Status bind_tool_choice_of_response(Value& value, ResponseRequest& request) {
  ASSIGN_OR_RETURN(Value choice, take_response_tool_choice(value));
  repeat(request, "tool_choice", value);
  return bind_tool_choice(choice, request);
}

Status bind_parallel(Value& value, ResponseRequest& request) {
  repeat(request, "parallel_tool_calls", value);
  ASSIGN_OR_RETURN(request.parallel_tool_calls, read_bool(value));
  return ok_status();
}

Status bind_reasoning(Value& value, ResponseRequest& request) {
  Value::Dict* members = value.as_dict();
  if (members == nullptr) return wrong_value("an object", value);
  repeat(request, "reasoning", value);
  constexpr std::array<std::string_view, 4> kKnown{
      "effort", "summary", "generate_summary", "max_tokens"};
  for (auto& [name, member] : *members) {
    if (member.is_null()) continue;
    Status status = ok_status();
    if (name == "effort") {
      status = bind_reasoning_effort(member, request);
    } else if (name == "max_tokens") {
      status = bind_reasoning_budget(member, request);
    } else if (name == "summary" || name == "generate_summary") {
      // The reasoning itself is in the answer; a summary of it is never made.
      status = take_string(member, kNameSizeMax).status();
    } else {
      status = unknown_field(name, kKnown);
    }
    if (!status.ok()) return std::move(status).with_where(str("reasoning.", printable(name)));
  }
  return ok_status();
}

Status bind_text(Value& value, ResponseRequest& request) {
  Value::Dict* members = value.as_dict();
  if (members == nullptr) return wrong_value("an object", value);
  repeat(request, "text", value);
  constexpr std::array<std::string_view, 2> kKnown{"format", "verbosity"};
  for (auto& [name, member] : *members) {
    if (member.is_null()) continue;
    if (name == "format") {
      RETURN_IF_ERROR(bind_response_format(member, request.structured, "text.format"));
    } else if (name == "verbosity") {
      if (member.as_string() == nullptr || *member.as_string() != "medium") {
        return unsupported("other than \"medium\" is not supported: ask for it in a message")
            .with_where("text.verbosity");
      }
    } else {
      return unknown_field(name, kKnown).with_where(str("text.", printable(name)));
    }
  }
  return ok_status();
}

Status bind_include(Value& value, ResponseRequest& request) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of strings", value);
  for (const Value& item : *list) {
    const std::string* name = item.as_string();
    if (name == nullptr) return wrong_value("a list of strings", item);
    if (*name == "message.output_text.logprobs") {
      request.logprobs = true;
    } else if (*name != "reasoning.encrypted_content") {
      return unsupported(str("of '", printable(*name), "' is not supported"));
    }
  }
  return ok_status();
}

Status bind_top_logprobs_of_response(Value& value, ResponseRequest& request) {
  repeat(request, "top_logprobs", value);
  ASSIGN_OR_RETURN(request.top_logprobs, read_int32(value, 0, limits::kTopLogprobsMax));
  if (*request.top_logprobs > 0) request.logprobs = true;
  return ok_status();
}

Status bind_truncation(Value& value, ResponseRequest& request) {
  const std::string* mode = value.as_string();
  if (mode == nullptr || (*mode != "disabled" && *mode != "auto")) {
    return wrong_value("\"auto\" or \"disabled\"", value);
  }
  repeat(request, "truncation", value);
  request.drops_oldest = *mode == "auto";
  return ok_status();
}

Status accept_string_and_repeat(Value& value, ResponseRequest& request, std::string_view name) {
  repeat(request, name, value);
  return take_string(value, limits::kHttpBodySizeMax).status();
}

constexpr auto kWorks = FieldUse::kWorks;
constexpr auto kNoEffect = FieldUse::kNoEffect;
constexpr auto kRefused = FieldUse::kRefused;

#define REPEAT_STRING(name)                                \
  [](Value& value, ResponseRequest& request) -> Status {   \
    return accept_string_and_repeat(value, request, name); \
  }
#define OF_CHAT(binder) \
  [](Value& value, ResponseRequest& request) -> Status { return binder(value, request); }
#define OF_PROMPT(binder) \
  [](Value& value, ResponseRequest& request) -> Status { return binder(value, request.prompt); }

constexpr Field<ResponseRequest> kFields[] = {
    {{"input",
      kWorks,
      "a text, or a list of items: message, function_call, function_call_output, reasoning"},
     bind_input},
    {{"instructions", kWorks, "a system message before the conversation, of this response only"},
     bind_instructions},
    {{"previous_response_id", kWorks, "goes on with the conversation of a stored response"},
     bind_previous_response_id},
    {{"max_output_tokens", kWorks, "1 or more; default the rest of the context"},
     bind_max_output_tokens},
    {{"store", kWorks, "keep the response for later requests; default true"}, bind_store},
    {{"background",
      kWorks,
      "true answers at once, or with stream goes on when the client leaves; the response is asked "
      "for by its id; default false"},
     bind_background},
    {{"metadata", kWorks, "up to 16 labels, which the response repeats"}, bind_metadata},
    {{"tools", kWorks, "up to 128 functions"}, bind_tools_of_response},
    {{"tool_choice",
      kWorks,
      "\"auto\", \"none\", \"required\", a function by name, or allowed_tools"},
     bind_tool_choice_of_response},
    {{"parallel_tool_calls", kWorks, "false: at most one call; default true"}, bind_parallel},
    {{"reasoning",
      kWorks,
      "effort, for the chat template; max_tokens; a summary is accepted and never made"},
     bind_reasoning},
    {{"text", kWorks, "format: text, json_object or json_schema"}, bind_text},
    {{"include", kWorks, "\"message.output_text.logprobs\"; encrypted reasoning is never made"},
     bind_include},
    {{"top_logprobs", kWorks, "0 to 20 alternatives per token"}, bind_top_logprobs_of_response},
    {{"truncation",
      kWorks,
      "\"auto\" leaves out the oldest messages of a conversation that is too long; default "
      "\"disabled\""},
     bind_truncation},
    {{"chat_template_kwargs", kWorks, "as for chat"}, OF_PROMPT(bind_template_arguments)},
    {{"enable_thinking", kWorks, "as for chat"}, OF_CHAT(bind_enable_thinking)},
    {{"thinking_token_budget", kWorks, "as for chat"}, OF_CHAT(bind_reasoning_budget)},
    {{"max_tool_calls", kNoEffect, "bounds tools that the server runs; it runs none"},
     bind_max_tool_calls},
    {{"user", kNoEffect, "repeated by the response"}, REPEAT_STRING("user")},
    {{"safety_identifier", kNoEffect, "repeated by the response"},
     REPEAT_STRING("safety_identifier")},
    {{"prompt_cache_key", kNoEffect, "the prefix cache finds shared prefixes by itself"},
     REPEAT_STRING("prompt_cache_key")},
    {{"service_tier", kNoEffect, "there is one tier"}, REPEAT_STRING("service_tier")},
    {{"response_format", kRefused, "use text.format"}, nullptr},
    {{"n", kRefused, "a response has one choice"}, nullptr},
    {{"max_tokens", kRefused, "use max_output_tokens"}, nullptr},
    {{"prompt_logprobs", kRefused, "use /v1/completions"}, nullptr},
    {{"return_token_ids", kRefused, "use /v1/chat/completions"}, nullptr},
    {{"conversation", kRefused, "use previous_response_id"}, nullptr},
    {{"context_management", kRefused, "conversations are never shortened"}, nullptr},
    {{"prompt", kRefused, "prompt templates are not stored here"}, nullptr},
};
#undef REPEAT_STRING
#undef OF_CHAT
#undef OF_PROMPT

Status check_response_request(ResponseRequest& request) {
  if (!request.has_input && request.previous_response_id.empty()) {
    return invalid_argument("'input' must be given").with_where("input");
  }
  if (request.background && !request.store) {
    return invalid_argument("'background' needs 'store' to be true").with_where("background");
  }
  if (request.logprobs) request.sampling.logprobs = request.top_logprobs.value_or(0);
  return check_chat_choices(request);
}

}  // namespace

Result<ResponseRequest> bind_response_request(Value::Dict body) {
  ResponseRequest request;
  RETURN_IF_ERROR(bind_fields(
      body, generation_fields(), std::span<const Field<ResponseRequest>>(kFields), request));
  RETURN_IF_ERROR(check_response_request(request));
  return request;
}

std::vector<FieldRow> response_field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<ResponseRequest>>(kFields), rows);
  const std::size_t own_count = rows.size();
  for (const FieldRow& row : generation_fields()) {
    // What a field means here counts, as in binding.
    const bool is_own = std::any_of(rows.begin(),
                                    rows.begin() + static_cast<std::ptrdiff_t>(own_count),
                                    [&](const FieldRow& own) { return own.name == row.name; });
    if (!is_own) rows.push_back(row);
  }
  return rows;
}

Status join_conversation(ResponseRequest& request, Value::List before) {
  Value::List messages;
  if (request.instructions) {
    Value system{Value::Dict{}};
    system.set("role", Value("system"));
    system.set("content", Value(*request.instructions));
    messages.push_back(std::move(system));
  }
  for (Value& message : before) messages.push_back(std::move(message));
  for (const Value& message : request.input.messages) append_message(messages, message);
  if (messages.empty()) return invalid_argument("'input' must not be empty").with_where("input");
  Value value(std::move(messages));
  Result<Value> taken = take_messages(value);
  if (!taken.has_value()) return at_field(std::move(taken).error(), "input");
  request.prompt.messages = *std::move(taken);
  return ok_status();
}

}  // namespace inferneo::gateway::endpoints
