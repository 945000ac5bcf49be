// The HTTP/1.1 server: sockets, parsing, limits, keep-alive, timeouts, streaming with backpressure.
// It knows no endpoint: a Dispatcher decides early from the head, and handlers run on front
// threads, never on the network thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "gateway/http/message.h"
#include "gateway/http/websocket.h"
#include "observe/metrics.h"

namespace inferneo::gateway::http {

// One request and the way to answer it. Whoever holds it may answer, from any thread, also after
// the server is gone (then without effect). When the last holder lets go without an answer the
// client gets 500; a stream let go before end_stream() is sent as far as written and then cut, so
// that it never looks complete: that is how a handler ends a stream that failed.
class Exchange {
 public:
  virtual ~Exchange() = default;
  [[nodiscard]] virtual const Request& request() const = 0;

  // Exactly one of respond() and start_stream() may be called, once; later calls are dropped.
  virtual void respond(Response response) = 0;
  // Sends the head (of `head` the body is ignored) with chunked encoding, at once; write() then
  // sends body bytes at once, several waiting writes as one.
  virtual void start_stream(Response head) = 0;
  // False when the client is gone or reads too slowly (then the stream is over). Never blocks.
  virtual bool write(std::string_view bytes) = 0;
  // Bytes of the stream that the client has not taken yet, for who wants to give up earlier.
  [[nodiscard]] virtual std::size_t waiting_size() const { return 0; }
  // Ends the body; the connection may be kept alive.
  virtual void end_stream() = 0;

  // `callback` runs once, on a network thread, when the client leaves or is given up before
  // respond() or end_stream() (at once, on the calling thread, when it already has). It must not
  // block and must not own this exchange. One callback at a time: an empty one takes the former
  // back.
  virtual void on_disconnect(UniqueFunction<void()> callback) = 0;

  // For handlers that have to wait for something before they can answer.
  // Runs `task` on a front thread soon. It is dropped uncalled when the client has left or the
  // server ends. An exchange without a server runs it at once.
  virtual void resume(UniqueFunction<void()> task) { task(); }
  // Begins an answer of server-sent events ahead of start_stream(), so that comments can be written
  // meanwhile. Then start_stream() goes on with it (its head is ignored), and the body of a
  // respond() becomes the data of one last event. False when it cannot.
  virtual bool begin_events() { return false; }
};

class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  // Thread: io, must not block. Decides from the head alone. Returns an error to refuse early (the
  // body is then not read; see error_response() for 405, 413 and 415), or the largest body to
  // accept. A HEAD request is presented as GET; its answer is sent without the body.
  virtual Result<std::size_t> admit(const RequestHead& head) = 0;
  // Thread: any. The answer to a request that admit() refused with `status`.
  [[nodiscard]] virtual Response refusal(const RequestHead& /*head*/, const Status& status) const {
    return error_response(status);
  }
  // Thread: front. Answers now or keeps the exchange and answers later.
  virtual void dispatch(std::shared_ptr<Exchange> exchange) = 0;
  // Thread: io, must not block. What handles the messages of a connection that asks to become a
  // WebSocket, or why it may not. The handshake itself and the origin have been checked.
  virtual Result<std::shared_ptr<WebSocketHandler>> open_websocket(const RequestHead& /*head*/) {
    return invalid_argument("this path is not for WebSocket connections");
  }
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  // 0 means any free port
  // A socket that listens on that address already, inherited from another process; -1: none. The
  // server owns it from start() on, also when start() fails.
  int listener_fd = -1;
  int io_thread_count = 1;
  int front_thread_count = 2;
  std::size_t front_queue_size = 1024;  // full: 503 with Retry-After
  std::size_t connection_count_max = limits::kConnectionCountMax;
  std::size_t connection_per_address_count_max = limits::kConnectionPerAddressCountMax;
  // Of all requests together, received or being received; beyond it 503 with Retry-After.
  std::size_t body_total_size_max = limits::kHttpBodyTotalSizeMax;
  std::chrono::milliseconds header_read_timeout = limits::kHttpHeaderReadTimeout;
  std::chrono::milliseconds body_idle_timeout = limits::kHttpBodyIdleTimeout;
  std::chrono::milliseconds keep_alive_timeout = limits::kHttpKeepAliveTimeout;
  std::chrono::milliseconds write_stall_timeout = limits::kHttpWriteStallTimeout;
  std::size_t response_buffer_size_max = limits::kResponseBufferSizeMax;
  // A WebSocket on which nothing arrives for this long is closed; half of it brings a ping.
  std::chrono::milliseconds websocket_idle_timeout = limits::kWebSocketIdleTimeout;
  // Host header values accepted besides loopback names and the bound address; a foreign one gets
  // 421, which defeats DNS rebinding. An entry may name a port; "*" accepts every host.
  std::vector<std::string> allowed_hosts = {};
  // Pages that may open WebSocket connections besides this server's own ("https://example.org").
  std::vector<std::string> allowed_origins = {};
};

class Server {
 public:
  // Binds and starts threads. `dispatcher` and `metrics` must outlive the server.
  // Failures: failed_precondition when the address is in use (naming it), invalid_argument.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options,
                                               Dispatcher& dispatcher,
                                               observe::ServerMetrics& metrics);
  // Closes everything and joins.
  virtual ~Server() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;
  // A second descriptor of the listening socket, for another process to inherit; owned by the
  // caller. Not after stop_accepting() or leave(). Failures: resource_exhausted.
  [[nodiscard]] virtual Result<int> duplicate_listener() const = 0;
  // Accepts no more, because another process does on the same socket. Connections stay: each is
  // closed with its next answer, which says so, and none while its client may be sending. That is
  // what stop_accepting() cannot promise to a client whose connection was idle.
  virtual void leave() = 0;
  // Blocks until no connection is left or the timeout has passed; true when none is left.
  virtual bool wait_no_connections(Duration timeout) = 0;
  // Stops accepting; idle keep-alive connections are closed, exchanges in progress go on.
  virtual void stop_accepting() = 0;
  // Blocks until no exchange is in progress or the timeout has passed; true when none is left.
  virtual bool wait_idle(Duration timeout) = 0;
};

}  // namespace inferneo::gateway::http
