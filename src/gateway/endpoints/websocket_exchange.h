// One request of a WebSocket connection as an http::Exchange, so that the handlers of HTTP answer
// it: server-sent events become messages, comments are dropped.
// Thread: as http::Exchange. Ownership: shared; keeps what `owner` says as long as itself.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/unique_function.h"
#include "gateway/endpoints/websocket_frames.h"
#include "gateway/http/server.h"

namespace inferneo::gateway::endpoints {

class WebSocketExchange final : public http::Exchange {
 public:
  struct Options {
    http::Request request;
    std::string id;  // as the client named it; may be empty
    const WebSocketProtocol* protocol = nullptr;
    std::shared_ptr<http::WebSocket> socket;
    std::shared_ptr<void> owner;        // lives as long as the exchange
    std::shared_ptr<void> reservation;  // bytes of the message in the server's budget
    // Called once, before the last message of the answer: its name is free again. Must not block.
    UniqueFunction<void()> on_end;
  };

  explicit WebSocketExchange(Options options);
  ~WebSocketExchange() override;

  [[nodiscard]] const http::Request& request() const override { return options_.request; }
  void respond(http::Response response) override;
  void start_stream(http::Response head) override;
  bool write(std::string_view bytes) override;
  void end_stream() override;
  void on_disconnect(UniqueFunction<void()> callback) override;

  // The client has left or takes the request back: nothing is sent any more.
  void cancel();

 private:
  enum class Stage { kWaiting, kStreaming, kEnded };

  bool send_event(std::string_view event);
  void send(const std::string& message);
  void free_name();
  void end(std::unique_lock<std::mutex>& lock);

  Options options_;
  std::mutex mutex_;
  Stage stage_ = Stage::kWaiting;
  bool is_cancelled_ = false;
  bool is_gone_ = false;  // the socket takes nothing any more
  bool has_failed_ = false;
  std::string pending_;  // an event that is not complete
  UniqueFunction<void()> callback_;
};

}  // namespace inferneo::gateway::endpoints
