// The answer of /v1/messages: a message of blocks, or the named events that build it.
// Spec: Anthropic API reference, Messages and Streaming messages.
// Thread: one at a time. Ownership: by value.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/endpoints/answer.h"

namespace inferneo::gateway::endpoints::anthropic {

struct MessageOptions {
  std::vector<std::string> stop_sequences;  // to tell which one ended the text
  std::string request_id;                   // for failures
};

std::unique_ptr<Answer> make_message(AnswerOptions options, MessageOptions message);
std::unique_ptr<Answer> make_message_stream(AnswerOptions options, MessageOptions message);

}  // namespace inferneo::gateway::endpoints::anthropic
