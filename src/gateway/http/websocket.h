// WebSocket connections as handlers see them. Text messages only; the transport does framing,
// control frames, limits and time-outs, and reads the next message when the one before has been
// handled: a client that floods waits in its own socket.
// Spec: RFC 6455.
// Thread: as each method says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/http/message.h"

namespace inferneo::gateway::http {

// The client's end. Whoever holds it may send, from any thread, also after the connection is gone
// (then without effect). Thread: any.
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  // Of the request that opened the connection.
  [[nodiscard]] virtual const RequestHead& head() const = 0;
  // Sends one text message. False when the client is gone or reads too slowly (then the connection
  // is over). Never blocks.
  virtual bool send(std::string_view message) = 0;
  // Closes behind what was sent. Spec: RFC 6455 section 7.4 for the codes.
  virtual void close(std::uint16_t code, std::string_view reason) = 0;
  // Work for the client, between which the connection counts as idle: a server that stops waits for
  // it, as for requests over HTTP.
  virtual void work_began() = 0;
  virtual void work_ended() = 0;
};

// What handles one connection.
class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;
  // Once, before all others. Thread: io.
  virtual void on_open(std::shared_ptr<WebSocket> socket) = 0;
  // One message at a time. `reservation` is what the message has taken of the server's budget for
  // request bodies; keep it as long as what was made of the message. Thread: front.
  virtual void on_message(std::string message, std::shared_ptr<void> reservation) = 0;
  // A message was read, but no front thread has room for it. Must not block. Thread: io.
  virtual void on_overload() = 0;
  // Once, the last: the connection is gone. Must not block. Thread: io.
  virtual void on_close() = 0;
};

// Close codes that a server uses.
inline constexpr std::uint16_t kCloseNormal = 1000;
inline constexpr std::uint16_t kCloseGoingAway = 1001;
inline constexpr std::uint16_t kCloseUnsupportedData = 1003;
inline constexpr std::uint16_t kCloseBadData = 1007;
inline constexpr std::uint16_t kClosePolicy = 1008;
inline constexpr std::uint16_t kCloseTooBig = 1009;
inline constexpr std::uint16_t kCloseTryAgainLater = 1013;

}  // namespace inferneo::gateway::http
