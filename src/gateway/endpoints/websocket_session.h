// Requests over a WebSocket connection: each message becomes a request to the endpoint of the same
// path, whose answer goes back as messages. Two protocols (docs/websocket.md):
// - chat and text completions: {"request_id": "...", ...the body...}, several in flight; frames
//   back carry the request_id and a type: chunk, response, done, error, cancelled.
// - the Responses API: OpenAI's events. {"type": "response.create", ...}; the events of the stream
//   come back as messages.
// Thread: as http::WebSocketHandler. Ownership: kept alive by the connection and by its requests.
#pragma once

#include <memory>

#include "gateway/endpoints/endpoint.h"
#include "gateway/http/websocket.h"

namespace inferneo::gateway::endpoints {

// Null when the path has no protocol over WebSocket.
std::shared_ptr<http::WebSocketHandler> make_websocket_session(const Services& services,
                                                               std::string_view path);

}  // namespace inferneo::gateway::endpoints
