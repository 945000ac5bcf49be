// The body of POST /v1/chat/completions, bound and checked.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/endpoints/generation_params.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// What the chat template is to render; also part of /tokenize.
struct ChatPrompt {
  text::Value messages;
  text::Value tools;               // null when none are to be shown
  text::Value template_arguments;  // dict or null
  std::optional<bool> add_generation_prompt;
  bool continue_final_message = false;
};

enum class ToolChoice : std::uint8_t { kAuto, kNone, kRequired };

struct ChatRequest : GenerationParams {
  ChatPrompt prompt;
  std::optional<std::int32_t> max_completion_tokens;
  bool logprobs = false;
  std::optional<std::int32_t> top_logprobs;
  ToolChoice tool_choice = ToolChoice::kAuto;
  // With kAuto: the tools that are shown. With kRequired: those that may be called. Empty: all.
  std::vector<std::string> tool_names;
  bool parallel_tool_calls = true;
  std::optional<bool> enable_thinking;           // a variable of the chat template
  std::optional<std::int32_t> reasoning_budget;  // tokens of reasoning; 0 for none
  bool include_reasoning = true;
  // Of a conversation that is too long, the oldest messages are left out (chat_prompt.h).
  bool drops_oldest = false;
};

// Failures: invalid_argument or unsupported whose where() is the field.
Result<ChatRequest> bind_chat_request(text::Value::Dict body);
// Rows of the reference.
std::vector<FieldRow> chat_field_rows();

// Binders of the prompt's fields, shared with /tokenize.
Status bind_messages(text::Value& value, ChatPrompt& prompt);
Status bind_tools(text::Value& value, ChatPrompt& prompt);
Status bind_template_arguments(text::Value& value, ChatPrompt& prompt);
// Binders that other dialects with messages share.
Status bind_tool_choice(text::Value& value, ChatRequest& request);
Status bind_reasoning_effort(text::Value& value, ChatRequest& request);
Status bind_reasoning_budget(text::Value& value, ChatRequest& request);
Status bind_enable_thinking(text::Value& value, ChatRequest& request);
// Rules that join fields, besides those of the prompt; what check_chat_request() shares.
Status check_chat_choices(ChatRequest& request);
// Failures: invalid_argument when no messages were given or the flags contradict each other.
Status check_chat_prompt(const ChatPrompt& prompt);

}  // namespace inferneo::gateway::endpoints
