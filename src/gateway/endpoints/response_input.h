// The input of the Responses API: items of a conversation as clients send them, checked, in two
// forms: items as they are stored and listed, and messages as chat templates read them.
// Spec: OpenAI API reference, responses, input items.
// Thread: any.
#pragma once

#include "base/result.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

struct ResponseInput {
  text::Value::List items;     // each with an id
  text::Value::List messages;  // in the shape of chat completions, unchecked by take_messages()
};

// `value`: a string, or a list of message, function_call, function_call_output and reasoning items.
// Failures: invalid_argument or unsupported whose where() is the place ("input[2].content").
Result<ResponseInput> take_response_input(text::Value& value);

// The tools of a request in the shape of chat completions. Failures: as above ("tools[0].type").
Result<text::Value> take_response_tools(const text::Value& value);

// The choice of tools in the shape of chat completions.
Result<text::Value> take_response_tool_choice(const text::Value& value);

// Joins what belongs to one turn of the assistant: reasoning, text and calls that follow each other
// become one message.
void append_message(text::Value::List& messages, text::Value message);

}  // namespace inferneo::gateway::endpoints
