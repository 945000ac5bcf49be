#include "gateway/endpoints/chat_request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/chat_messages.h"
#include "text/tools/tool_format.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

// Names that the template gets from the server and that arguments may not replace.
constexpr std::array<std::string_view, 6> kReservedArguments{
    "messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "raise_exception"};

Status bind_response_format(Value& value, ChatRequest&) {
  const Value::Dict* format = value.as_dict();
  const auto type = format == nullptr
                        ? Value::Dict::const_iterator{}
                        : std::find_if(format->begin(), format->end(), [](const auto& m) {
                            return m.first == "type";
                          });
  if (format == nullptr || type == format->end() || type->second.as_string() == nullptr) {
    return wrong_value("an object with a type", value);
  }
  const std::string& name = *type->second.as_string();
  if (name == "text") return ok_status();
  if (name == "json_object" || name == "json_schema") {
    return unsupported(str("of type '",
                           name,
                           "' is not supported: structured output is not available in this "
                           "version"));
  }
  return invalid_argument(str("must have the type \"text\", but has '", printable(name), "'"));
}

// The name in {"type":"function","function":{"name":...}}.
Result<std::string> function_name(const Value& choice, std::string_view where) {
  const Value* function = choice.find("function");
  const Value* name = function == nullptr ? nullptr : function->find("name");
  if (name == nullptr || name->as_string() == nullptr) {
    return invalid_argument("must be a string").with_where(str(where, ".function.name"));
  }
  return *name->as_string();
}

Status bind_allowed_tools(const Value& choice, ChatRequest& request) {
  const Value* allowed = choice.find("allowed_tools");
  const Value* mode = allowed == nullptr ? nullptr : allowed->find("mode");
  const Value* tools = allowed == nullptr ? nullptr : allowed->find("tools");
  if (mode == nullptr || mode->as_string() == nullptr ||
      (*mode->as_string() != "auto" && *mode->as_string() != "required")) {
    return invalid_argument("must be \"auto\" or \"required\"")
        .with_where("tool_choice.allowed_tools.mode");
  }
  if (tools == nullptr || tools->as_list() == nullptr || tools->as_list()->empty()) {
    return invalid_argument("must be a list of tools that is not empty")
        .with_where("tool_choice.allowed_tools.tools");
  }
  request.tool_choice =
      *mode->as_string() == "required" ? ToolChoice::kRequired : ToolChoice::kAuto;
  for (std::size_t i = 0; i < tools->as_list()->size(); ++i) {
    ASSIGN_OR_RETURN(
        std::string name,
        function_name((*tools->as_list())[i], str("tool_choice.allowed_tools.tools[", i, "]")));
    request.tool_names.push_back(std::move(name));
  }
  return ok_status();
}

Status bind_tool_choice(Value& value, ChatRequest& request) {
  constexpr std::string_view kExpected =
      "\"none\", \"auto\", \"required\" or an object that names a function";
  if (value.as_dict() != nullptr) {
    const Value* type = value.find("type");
    const std::string* name = type == nullptr ? nullptr : type->as_string();
    if (name != nullptr && *name == "function") {
      ASSIGN_OR_RETURN(std::string function, function_name(value, "tool_choice"));
      request.tool_choice = ToolChoice::kRequired;
      request.tool_names.push_back(std::move(function));
      return ok_status();
    }
    if (name != nullptr && *name == "allowed_tools") return bind_allowed_tools(value, request);
    if (name != nullptr && *name == "custom") {
      return unsupported("of type 'custom' is not supported: tools are functions");
    }
    return invalid_argument("must be \"function\" or \"allowed_tools\"")
        .with_where("tool_choice.type");
  }
  const std::string* choice = value.as_string();
  if (choice == nullptr) return wrong_value(kExpected, value);
  if (*choice == "none") {
    request.tool_choice = ToolChoice::kNone;
  } else if (*choice == "required") {
    request.tool_choice = ToolChoice::kRequired;
  } else if (*choice != "auto") {
    return invalid_argument(str("must be ", kExpected, ", but is '", printable(*choice), "'"));
  }
  return ok_status();
}

Status bind_parallel_tool_calls(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.parallel_tool_calls, read_bool(value));
  return ok_status();
}

Status bind_enable_thinking(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.enable_thinking, read_bool(value));
  return ok_status();
}

Status bind_reasoning_budget(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.reasoning_budget,
                   read_int32(value, 0, std::numeric_limits<std::int32_t>::max()));
  return ok_status();
}

Status bind_include_reasoning(Value& value, ChatRequest& request) {
  ASSIGN_OR_RETURN(request.include_reasoning, read_bool(value));
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
      "up to 128 functions, shown to the model by its template, else in the system message; calls "
      "in the answer become tool_calls"},
     BIND_PROMPT(bind_tools)},
    {{"tool_choice",
      kWorks,
      "\"auto\", \"none\" (hides the tools), \"required\", a function by name, or allowed_tools"},
     bind_tool_choice},
    {{"parallel_tool_calls", kWorks, "false: at most one call; default true"},
     bind_parallel_tool_calls},
    {{"response_format", kWorks, "only {\"type\":\"text\"}"}, bind_response_format},
    {{"reasoning_effort",
      kWorks,
      "a variable for the chat template, if it reads it; \"none\" also switches thinking off"},
     bind_reasoning_effort},
    {{"enable_thinking", kWorks, "the same in chat_template_kwargs"}, bind_enable_thinking},
    {{"thinking_token_budget",
      kWorks,
      "tokens of reasoning, after which the model is made to answer; models that reason only"},
     bind_reasoning_budget},
    {{"include_reasoning", kWorks, "false leaves reasoning out of the answer; default true"},
     bind_include_reasoning},
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

// Names in tool_choice must be tools; tools that may not be called are not shown.
Status check_tools(ChatRequest& request) {
  Value& tools = request.prompt.tools;
  if (request.tool_choice == ToolChoice::kNone) {
    tools = Value();
    return ok_status();
  }
  if (tools.is_null() &&
      (request.tool_choice == ToolChoice::kRequired || !request.tool_names.empty())) {
    return invalid_argument("'tool_choice' needs 'tools'").with_where("tool_choice");
  }
  for (const std::string& name : request.tool_names) {
    if (text::find_tool_function(&tools, name) != nullptr) continue;
    return invalid_argument(str("'tool_choice' names '", printable(name), "', which is no tool"))
        .with_where("tool_choice");
  }
  if (request.tool_choice == ToolChoice::kAuto && !request.tool_names.empty()) {
    Value::List& list = *tools.as_list();
    const auto is_hidden = [&](const Value& tool) {
      const std::string& name = *tool.find("function")->find("name")->as_string();
      return std::find(request.tool_names.begin(), request.tool_names.end(), name) ==
             request.tool_names.end();
    };
    list.erase(std::remove_if(list.begin(), list.end(), is_hidden), list.end());
  }
  return ok_status();
}

// enable_thinking is a variable of many templates; an effort of "none" and a budget of nothing mean
// the same.
void set_thinking(ChatRequest& request) {
  Value& arguments = request.prompt.template_arguments;
  const Value* effort = arguments.find("reasoning_effort");
  const bool is_off =
      (effort != nullptr && effort->as_string() != nullptr && *effort->as_string() == "none") ||
      request.reasoning_budget == 0;
  if (!request.enable_thinking && is_off) request.enable_thinking = false;
  if (!request.enable_thinking || arguments.find("enable_thinking") != nullptr) return;
  arguments.set("enable_thinking", Value(*request.enable_thinking));
}

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
  RETURN_IF_ERROR(check_tools(request));
  set_thinking(request);
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
