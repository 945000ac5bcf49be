// The answer of an endpoint that gives one JSON body or fails.
// Thread: any.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"
#include "gateway/http/server.h"

namespace inferneo::gateway::endpoints {

inline void respond_json(http::Exchange& exchange, Result<std::string> body) {
  if (!body.has_value()) return exchange.respond(http::error_response(body.error()));
  http::Response response;
  response.body = *std::move(body);
  exchange.respond(std::move(response));
}

}  // namespace inferneo::gateway::endpoints
