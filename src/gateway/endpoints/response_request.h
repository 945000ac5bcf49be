// The body of POST /v1/responses, bound and checked: a conversation as the template reads it, and
// what the answer repeats of the request.
// Spec: OpenAI API reference, responses.
// Thread: any (values).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/response_input.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

struct ResponseRequest : ChatRequest {
  ResponseInput input;
  bool has_input = false;
  std::optional<std::string> instructions;
  std::string previous_response_id;  // empty: none
  bool store = true;
  bool background = false;
  // Members of the response object that repeat the request, as they were given.
  text::Value repeated;
};

// `messages` of the result are not yet made: join_conversation() does that, when the turn before is
// known. Failures: invalid_argument or unsupported whose where() is the field.
Result<ResponseRequest> bind_response_request(text::Value::Dict body);
// Rows of the reference.
std::vector<FieldRow> response_field_rows();

// Sets the messages: instructions, what was said before, the input. Failures: as take_messages().
Status join_conversation(ResponseRequest& request, text::Value::List before);

}  // namespace inferneo::gateway::endpoints
