#include "gateway/endpoints/chat_request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "gateway/endpoints/chat_messages.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

// Names that the template gets from the server and that arguments may not replace.
constexpr std::array<std::string_view, 6> kReservedArguments{
    "messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "raise_exception"};

Status bind_tool_choice(Value& value, ChatRequest& request) {
  if (value.as_dict() != nullptr) {
    return unsupported("as an object is not supported: calls cannot be forced in this version");
  }
  const std::string* choice = value.as_string();
  if (choice == nullptr) return wrong_value("\"auto\" or \"none\"", value);
  if (*choice == "required") {
    return unsupported("of \"required\" is not supported: calls cannot be forced in this version");
  }
  if (*choice != "auto" && *choice != "none") {
    return invalid_argument(str("must be \"auto\" or \"none\", but is '", printable(*choice), "'"));
  }
  request.hide_tools = *choice == "none";
  return ok_status();
}

Status bind_modalities(Value& value, ChatRequest&) {
  const Value::List* list = value.as_list();
  if (list == nullptr || list->empty()) return wrong_value("the list [\"text\"]", value);
  for (const Value& item : *list) {
    if (item.as_string() == nullptr) return wrong_value("the list [\"text\"]", value);
    if (*item.as_string() != "text") {
      return unsupported("other than [\"text\"] are not supported: the model writes text only");
    }
  }
  return ok_status();
}

Status bind_reasoning_effort(Value& value, ChatRequest& request) {
  constexpr std::array<std::string_view, 7> kEfforts{
      "none", "minimal", "low", "medium", "high", "xhigh", "max"};
  const std::string* effort = value.as_string();
  if (effort == nullptr || std::find(kEfforts.begin(), kEfforts.end(), *effort) == kEfforts.end()) {
    return wrong_value("one of none, minimal, low, medium, high, xhigh, max", value);
  }
  Value::Dict* arguments = request.prompt.template_arguments.as_dict();
  if (arguments == nullptr) {
    request.prompt.template_arguments = Value(Value::Dict{});
    arguments = request.prompt.template_arguments.as_dict();
  }
  const bool given = std::any_of(arguments->begin(), arguments->end(), [](const auto& argument) {
    return argument.first == "reasoning_effort";
  });
  if (!given) arguments->emplace_back("reasoning_effort", Value(*effort));
  return ok_status();
}

Status bind_logprobs(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.logprobs, read_bool(value));
  return ok_status();
}

Status bind_top_logprobs(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.top_logprobs, read_int32(value, 0, limits::kTopLogprobsMax));
  return ok_status();
}

Status bind_max_completion_tokens(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.max_completion_tokens,
                   read_int32(value, 1, std::numeric_limits<std::int32_t>::max()));
  return ok_status();
}

Status bind_add_generation_prompt(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.prompt.add_generation_prompt, read_bool(value));
  return ok_status();
}

Status bind_continue_final_message(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.prompt.continue_final_message, read_bool(value));
  return ok_status();
}

Status accept_echo_off(Value& value, ChatRequest&) {
  ASSIGN_OR_RETURN(const bool on, read_bool(value));
  return on ? unsupported("is not supported for chat; /v1/completions has it") : ok_status();
}

Status accept_bool(Value& value, ChatRequest&) { return read_bool(value).status(); }

Status accept_object(Value& value, ChatRequest&) {
  return value.as_dict() != nullptr ? ok_status() : wrong_value("an object", value);
}

constexpr auto kWorks = FieldUse::kWorks;
constexpr auto kNoEffect = FieldUse::kNoEffect;
constexpr auto kRefused = FieldUse::kRefused;

#define BIND_PROMPT(binder) \
  [](Value& value, ChatRequest& request) -> Status { return binder(value, request.prompt); }

constexpr Field<ChatRequest> kFields[] = {
    {{"messages",
      kWorks,
      "1 to 2048 messages of the roles system, developer, user, assistant and tool; contents are "
      "text or text parts, which are joined by line breaks"},
     BIND_PROMPT(bind_messages)},
    {{"max_completion_tokens", kWorks, "the newer name of max_tokens"}, bind_max_completion_tokens},
    {{"logprobs", kWorks, "true adds log probabilities of the chosen tokens; default false"},
     bind_logprobs},
    {{"top_logprobs", kWorks, "0 to 20 alternatives per token; needs logprobs"}, bind_top_logprobs},
    {{"tools",
      kWorks,
      "up to 128 functions, shown to the model by its template; the answer is plain text"},
     BIND_PROMPT(bind_tools)},
    {{"tool_choice", kWorks, "\"auto\" shows the tools, \"none\" hides them"}, bind_tool_choice},
    {{"reasoning_effort", kWorks, "a variable for the chat template, if it reads it"},
     bind_reasoning_effort},
    {{"chat_template_kwargs", kWorks, "object of further variables for the chat template"},
     BIND_PROMPT(bind_template_arguments)},
    {{"add_generation_prompt",
      kWorks,
      "end the prompt with the beginning of a reply; default true, false when a message is "
      "continued"},
     bind_add_generation_prompt},
    {{"continue_final_message", kWorks, "go on with the last message, which is the assistant's"},
     bind_continue_final_message},
    {{"modalities", kWorks, "only [\"text\"]"}, bind_modalities},
    {{"parallel_tool_calls", kNoEffect, "calls are not parsed out of the text in this version"},
     accept_bool},
    {{"prediction", kNoEffect, "a hint for speed that does not change the text"}, accept_object},
    {{"echo", kNoEffect, "only false is accepted; /v1/completions has it"}, accept_echo_off},
    {{"audio", kRefused, "the model writes text only"}, nullptr},
    {{"functions", kRefused, "use tools"}, nullptr},
    {{"function_call", kRefused, "use tool_choice"}, nullptr},
    {{"verbosity", kRefused, "ask for it in a message"}, nullptr},
    {{"web_search_options", kRefused, "the server does not reach the network"}, nullptr},
    {{"chat_template", kRefused, "templates come with the model"}, nullptr},
    {{"documents", kRefused, "put them into a message, or into chat_template_kwargs"}, nullptr},
};
#undef BIND_PROMPT

Status check_chat_request(ChatRequest& request) {
  RETURN_IF_ERROR(check_chat_prompt(request.prompt));
  if (request.max_completion_tokens) {
    if (request.max_tokens && *request.max_tokens != *request.max_completion_tokens) {
      return invalid_argument("'max_tokens' and 'max_completion_tokens' differ; give one of them")
          .with_where("max_tokens");
    }
    request.max_tokens = request.max_completion_tokens;
  }
  if (request.top_logprobs && !request.logprobs) {
    return invalid_argument("'top_logprobs' needs 'logprobs' to be true")
        .with_where("top_logprobs");
  }
  if (request.logprobs) request.sampling.logprobs = request.top_logprobs.value_or(0);
  if (request.hide_tools) request.prompt.tools = Value();
  return check_generation(request);
}

}  // namespace

Status bind_messages(Value& value, ChatPrompt& prompt) {
  ASSIGN_OR_RETURN(prompt.messages, take_messages(value));
  return ok_status();
}

Status bind_tools(Value& value, ChatPrompt& prompt) {
  ASSIGN_OR_RETURN(prompt.tools, take_tools(value));
  if (prompt.tools.as_list()->empty()) prompt.tools = Value();
  return ok_status();
}

Status bind_template_arguments(Value& value, ChatPrompt& prompt) {
  Value::Dict* arguments = value.as_dict();
  if (arguments == nullptr) return wrong_value("an object", value);
  for (const auto& [name, argument] : *arguments) {
    if (std::find(kReservedArguments.begin(), kReservedArguments.end(), name) !=
        kReservedArguments.end()) {
      return invalid_argument(str("must not set '", name, "', which the server sets"));
    }
  }
  // reasoning_effort may have been bound before; what is given here counts.
  if (Value::Dict* present = prompt.template_arguments.as_dict()) {
    for (auto& entry : *present) {
      const bool given = std::any_of(arguments->begin(), arguments->end(), [&](const auto& a) {
        return a.first == entry.first;
      });
      if (!given) arguments->push_back(std::move(entry));
    }
  }
  prompt.template_arguments = Value(std::move(*arguments));
  return ok_status();
}

Status check_chat_prompt(const ChatPrompt& prompt) {
  const Value::List* messages = prompt.messages.as_list();
  if (messages == nullptr) {
    return invalid_argument("'messages' must be given").with_where("messages");
  }
  if (!prompt.continue_final_message) return ok_status();
  if (prompt.add_generation_prompt.value_or(false)) {
    return invalid_argument(
               "'continue_final_message' and 'add_generation_prompt' contradict each other")
        .with_where("continue_final_message");
  }
  const Value::Dict& last = *messages->back().as_dict();
  if (*last.front().second.as_string() != "assistant") {
    return invalid_argument("'continue_final_message' needs a last message of the assistant")
        .with_where("continue_final_message");
  }
  return ok_status();
}

Result<ChatRequest> bind_chat_request(Value::Dict body) {
  ChatRequest request;
  RETURN_IF_ERROR(bind_fields(
      body, generation_fields(), std::span<const Field<ChatRequest>>(kFields), request));
  RETURN_IF_ERROR(check_chat_request(request));
  return request;
}

std::vector<FieldRow> chat_field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<ChatRequest>>(kFields), rows);
  append_rows(generation_fields(), rows);
  return rows;
}

}  // namespace inferneo::gateway::endpoints
