// A connection that has become a WebSocket. Owns the socket; its Connection stays as the place in
// the server's lists and is told when it ends.
// Thread: the connection's network thread.
// Ownership: shared by operations in progress; handlers hold an outlet that refers to it until its
// end, because they may outlive the server's network threads.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/unique_function.h"
#include "gateway/http/connection.h"
#include "gateway/http/websocket.h"

namespace inferneo::gateway::http {

class WebSocketConnection {
 public:
  virtual ~WebSocketConnection() = default;
  // `on_end` is called once, at the end, on the network thread.
  static std::shared_ptr<WebSocketConnection> create(Socket socket,
                                                     RequestHead head,
                                                     std::shared_ptr<WebSocketHandler> handler,
                                                     ConnectionHost& host,
                                                     UniqueFunction<void()> on_end);
  // Answers the handshake and begins to read.
  virtual void start() = 0;
  virtual void check_deadlines(TimePoint now) = 0;
  // Closes when no work is in progress, otherwise behind it.
  virtual void stop() = 0;
  // At once.
  virtual void abort() = 0;
};

}  // namespace inferneo::gateway::http
