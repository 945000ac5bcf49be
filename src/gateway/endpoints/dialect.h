// How a protocol carries failures and streams over HTTP: what is left of a dialect besides its own
// endpoints and answers. The default values are OpenAI's.
// Thread: any (constants).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::endpoints {

struct Dialect {
  std::string_view stream_content_type = "text/event-stream";
  // Keeps a quiet stream open; empty where the framing has no comments.
  std::string_view ping_frame = ": ping\n\n";
  // The answer to a request that failed before anything of it was sent.
  http::Response (*error_response)(const Status& status) = http::error_response;
  // The last frame of a stream that failed.
  void (*append_stream_error)(const Status& status, std::string& out) = nullptr;
};

extern const Dialect kOpenAiDialect;

}  // namespace inferneo::gateway::endpoints
