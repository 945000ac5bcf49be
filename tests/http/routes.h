// The dispatcher that the HTTP tests run against; every behaviour of a handler has a route.
//   GET  /hello            "hello"
//   POST /echo             the body (limit 1 MiB), with x-body-size
//   POST /small            the same, limit 16 bytes
//   POST /json             the same, 415 unless application/json
//   GET  /stream?N         N server-sent events "data: i"
//   GET  /path/...         the decoded path; /query?... the raw query
//   GET  /header/NAME      the value of that request header
//   GET  /sleep?MS         "slept" after MS milliseconds on the front thread
//   GET  /none             204; /drop no answer at all; /drop-stream one event, then dropped
//   GET  /throw            an exception; /twice two answers; /inject hostile response fields
//   GET  /error/CODE       error_response() of the status code with that name
//   GET  /hold             answers never, until released or the client leaves
//   GET  /flood            writes events until refused
// WebSocket: /ws/echo sends messages back; /ws/flood sends until refused; /ws/work has work from
// the first message to "end". Thread: as Dispatcher.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "gateway/http/server.h"

namespace inferneo::http_test {

using gateway::http::Exchange;

class Routes final : public gateway::http::Dispatcher {
 public:
  Result<std::size_t> admit(const gateway::http::RequestHead& head) override;
  void dispatch(std::shared_ptr<Exchange> exchange) override;

  Result<std::shared_ptr<gateway::http::WebSocketHandler>> open_websocket(
      const gateway::http::RequestHead& head) override;
  // Of the connection that was opened last.
  std::shared_ptr<gateway::http::WebSocket> last_websocket();
  std::atomic<int> websocket_handler_count{0};

  // Exchanges of /hold, once there are `count` of them.
  std::vector<std::shared_ptr<Exchange>> take_held(std::size_t count);
  // How many clients left while held; waits for `count`. False after ten seconds.
  bool wait_left(int count);

  std::atomic<std::uint64_t> flood_bytes{0};
  std::atomic<bool> is_flood_over{false};

 private:
  void hold(std::shared_ptr<Exchange> exchange);
  void flood(Exchange& exchange);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Exchange>> held_;
  int left_count_ = 0;
  std::shared_ptr<gateway::http::WebSocket> last_websocket_;

  friend class RouteWebSocket;
};

}  // namespace inferneo::http_test
