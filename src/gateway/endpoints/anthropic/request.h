// The body of POST /v1/messages, bound, checked and translated into a chat request: blocks become
// messages as chat templates know them.
// Spec: Anthropic API reference, Messages.
// Thread: any (values).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/field.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints::anthropic {

struct MessagesRequest {
  ChatRequest chat;
  std::vector<std::string> stop_sequences;
};

// `counts_only`: /v1/messages/count_tokens, where max_tokens is not given.
// Failures: invalid_argument or unsupported whose where() is the field or a place in it
// ("messages[2].content[0].type").
Result<MessagesRequest> bind_messages_request(text::Value::Dict body, bool counts_only);

std::vector<FieldRow> messages_field_rows();

}  // namespace inferneo::gateway::endpoints::anthropic
