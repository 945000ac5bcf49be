// Failures as Ollama's clients read them: {"error": "message"}.
// Thread: any.
#pragma once

#include <string>

#include "base/status.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::endpoints::ollama {

std::string error_json(const Status& status);
http::Response error_response(const Status& status);

}  // namespace inferneo::gateway::endpoints::ollama
