// The head of a response as bytes: status line, our own fields, then the handler's fields.
// Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/http/message.h"

namespace inferneo::gateway::http {

struct ResponseFraming {
  std::optional<std::size_t> content_length;  // none: chunked, or until close for HTTP/1.0
  bool is_http_1_0 = false;
  bool keep_alive = true;
  bool is_stream = false;
};

// The fields that frame a message, and any field whose name or value could break the head, are
// taken from `framing` only: what a handler puts there is dropped.
std::string render_response_head(const Response& response,
                                 const ResponseFraming& framing,
                                 std::string_view request_id);

std::string_view reason_phrase(int status);

// Whether an answer of that status never has a body (1xx, 204, 304).
bool is_bodyless(int status);

// Whether a client's x-request-id may be taken over: 1 to 128 characters of [A-Za-z0-9._-].
bool is_valid_request_id(std::string_view id);
// "req-" and 16 random hexadecimal digits.
std::string make_request_id();

}  // namespace inferneo::gateway::http
