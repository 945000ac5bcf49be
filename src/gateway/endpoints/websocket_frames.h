// What one protocol over WebSocket says: how a message names its request, and how pieces of the
// answer are put into messages.
// Thread: any (pure functions).
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/message.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

struct WebSocketProtocol {
  std::string_view path;       // of the endpoint that answers
  std::string_view id_member;  // names a request: "request_id"
  bool id_required = false;
  // Requests are streamed whether they say so or not.
  bool always_streams = false;
  std::string_view create_type;  // the type of a message that asks for an answer
  std::string_view cancel_type;

  // Messages to the client. `id` is JSON, as the client wrote it: a string, or a number; it may be
  // empty where it is not required.
  std::string (*chunk)(std::string_view id, std::string_view json) = nullptr;
  std::string (*whole)(std::string_view id, std::string_view json) = nullptr;
  // Empty: nothing is sent.
  std::string (*done)(std::string_view id) = nullptr;
  std::string (*error)(std::string_view id, int status, std::string_view error_object) = nullptr;
  // Whether a chunk is the last of its answer, so that its request's name is free again; null where
  // done() says that.
  bool (*is_last)(std::string_view json) = nullptr;
};

// Null when the path has none.
const WebSocketProtocol* find_websocket_protocol(std::string_view path);

// {"type": type, "<id_member>": id}; without the id where it is empty.
std::string websocket_note(const WebSocketProtocol& protocol,
                           std::string_view type,
                           std::string_view id);

}  // namespace inferneo::gateway::endpoints
