// Failures as Anthropic's clients read them:
// {"type":"error","error":{"type","message"},"request_id"}.
// Thread: any.
#pragma once

#include <string>

#include "base/status.h"
#include "gateway/http/message.h"
#include "gateway/http/server.h"

namespace inferneo::gateway::endpoints::anthropic {

std::string error_json(const Status& status, std::string_view request_id);
http::Response error_response(const Status& status, std::string_view request_id);
http::Response error_response(const Status& status, const http::Exchange& exchange);

}  // namespace inferneo::gateway::endpoints::anthropic
