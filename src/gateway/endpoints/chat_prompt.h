// The prompt of a conversation: rendered, encoded and, where the request allows it, without the
// oldest messages that do not fit.
// Thread: front.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/chat_request.h"
#include "manager/manager.h"
#include "request/token.h"

namespace inferneo::gateway::endpoints {

struct EncodedChat {
  std::string text;
  std::vector<TokenId> ids;
};

// With ChatRequest::drops_oldest, messages from the beginning of the conversation are left out
// until the rest fits into the context, with room for the answer that was asked for. System
// messages and the last message stay, and the result of a tool goes with its call. Failures: as
// render_chat and encode. A conversation that fits in no way is given as it is. Takes the messages
// out of `chat`.
Result<EncodedChat> encode_chat(const manager::ServedModel& model, ChatRequest& chat);

}  // namespace inferneo::gateway::endpoints
