// Failures as clients of the Open Inference Protocol read them: {"error": "message"}; and how the
// paths of the protocol name a model.
// Spec: KServe, Open Inference Protocol V2 (REST); Triton's extensions.
// Thread: any.
#pragma once

#include <string>

#include "gateway/endpoints/endpoint.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::endpoints::kserve {

http::Response error_response(const Status& status);

// "name", or "name:version" where the path has one.
std::string target_of(const Endpoint& endpoint, std::string_view path);

}  // namespace inferneo::gateway::endpoints::kserve
