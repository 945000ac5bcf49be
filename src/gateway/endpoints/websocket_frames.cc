#include "gateway/endpoints/websocket_frames.h"

#include "base/str.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

constexpr std::string_view kRequestId = "request_id";
constexpr std::string_view kStreamId = "stream_id";

void write_id(JsonWriter& json, std::string_view member, std::string_view id) {
  if (id.empty()) return;
  json.key(member);
  json.members(id);
}

std::string frame(std::string_view type,
                  std::string_view id,
                  std::string_view name,
                  std::string_view json_text,
                  int status = 0) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("type", type);
  write_id(json, kRequestId, id);
  if (status != 0) json.member("status", status);
  if (!name.empty()) {
    json.key(name);
    json.members(json_text);
  }
  json.end_object();
  return out;
}

std::string completion_chunk(std::string_view id, std::string_view json) {
  return frame("chunk", id, "data", json);
}
std::string completion_whole(std::string_view id, std::string_view json) {
  return frame("response", id, "data", json);
}
std::string completion_done(std::string_view id) { return frame("done", id, {}, {}); }
std::string completion_error(std::string_view id, int status, std::string_view error) {
  return frame("error", id, "error", error, status);
}

// Events keep their shape; the stream's id joins them.
std::string response_event(std::string_view id, std::string_view json) {
  if (id.empty()) return std::string(json);
  std::string out;
  JsonWriter writer(out);
  writer.begin_object();
  write_id(writer, kStreamId, id);
  out += ',';
  out += json.substr(1);
  return out;
}
bool is_last_event(std::string_view json) {
  for (const std::string_view type : {"completed", "incomplete", "failed"}) {
    if (json.starts_with(str("{\"type\":\"response.", type, "\""))) return true;
  }
  return false;
}
std::string response_done(std::string_view) { return {}; }
std::string response_error(std::string_view id, int status, std::string_view error) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("type", "error");
  write_id(json, kStreamId, id);
  json.member("status", status);
  json.key("error");
  json.members(error);
  json.end_object();
  return out;
}

constexpr WebSocketProtocol completions(std::string_view path) {
  return {.path = path,
          .id_member = kRequestId,
          .id_required = true,
          .always_streams = false,
          .create_type = "request",
          .cancel_type = "cancel",
          .chunk = completion_chunk,
          .whole = completion_whole,
          .done = completion_done,
          .error = completion_error,
          .is_last = nullptr};
}

constexpr WebSocketProtocol kProtocols[] = {
    completions("/v1/chat/completions"),
    completions("/v1/completions"),
    {.path = "/v1/responses",
     .id_member = kStreamId,
     .id_required = false,
     .always_streams = true,
     .create_type = "response.create",
     .cancel_type = "response.cancel",
     .chunk = response_event,
     .whole = response_event,
     .done = response_done,
     .error = response_error,
     .is_last = is_last_event},
};

}  // namespace

const WebSocketProtocol* find_websocket_protocol(std::string_view path) {
  for (const WebSocketProtocol& protocol : kProtocols) {
    if (protocol.path == path) return &protocol;
  }
  return nullptr;
}

std::string websocket_note(const WebSocketProtocol& protocol,
                           std::string_view type,
                           std::string_view id) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("type", type);
  write_id(json, protocol.id_member, id);
  json.end_object();
  return out;
}

}  // namespace inferneo::gateway::endpoints
