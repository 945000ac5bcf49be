// Anthropic's messages of blocks, and its tools, in the shape that chat requests have.
// Thread: any (pure functions).
#pragma once

#include "base/result.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints::anthropic {

// The messages (roles user and assistant) as a list of OpenAI's. Results of tools become messages
// of their own. Failures: at places like "messages[2].content[0]".
Result<text::Value> translate_messages(text::Value& value);

// A string or a list of text blocks, joined. Failures: at `where`.
Result<std::string> join_text(text::Value& value, const std::string& where);

// Failures: at places like "tools[0].name".
Result<text::Value> translate_tools(text::Value& value);

}  // namespace inferneo::gateway::endpoints::anthropic
