#include "routes.h"

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "base/str.h"

namespace inferneo::http_test {
namespace {

using gateway::http::RequestHead;
using gateway::http::Response;

constexpr std::size_t kEchoSizeMax = 1024 * 1024;
constexpr std::size_t kSmallSizeMax = 16;

struct PostRoute {
  std::string_view path;
  std::size_t body_size_max;
};
constexpr PostRoute kPostRoutes[] = {{"/echo", kEchoSizeMax},
                                     {"/small", kSmallSizeMax},
                                     {"/json", kEchoSizeMax},
                                     {"/keep", kEchoSizeMax}};
constexpr std::string_view kGetRoutes[] = {"/hello",
                                           "/stream",
                                           "/path/",
                                           "/query",
                                           "/header/",
                                           "/sleep",
                                           "/none",
                                           "/drop",
                                           "/drop-stream",
                                           "/throw",
                                           "/twice",
                                           "/inject",
                                           "/error/",
                                           "/hold",
                                           "/flood"};

bool matches(std::string_view path, std::string_view route) {
  return route.ends_with('/') ? path.starts_with(route) : path == route;
}

Response text(std::string body) {
  Response response;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

Response stream_head() {
  Response response;
  response.content_type = "text/event-stream";
  return response;
}

void stream(Exchange& exchange, int count) {
  exchange.start_stream(stream_head());
  for (int i = 0; i < count; ++i) {
    if (!exchange.write(str("data: ", i, "\n\n"))) return;
  }
  exchange.end_stream();
}

Status status_named(std::string_view name) {
  for (int code = 1; code <= static_cast<int>(StatusCode::kInternal); ++code) {
    const auto candidate = static_cast<StatusCode>(code);
    if (status_code_name(candidate) == name) {
      return Status(candidate, "secret detail at 0x7fff0010", "do better").with_where("field");
    }
  }
  return internal_error("no such code");
}

Response hostile() {
  Response response = text("ok");
  response.headers = {{"x-split", "a\r\nSet-Cookie: b"},
                      {"bad name", "x"},
                      {"Content-Length", "99"},
                      {"Transfer-Encoding", "chunked"},
                      {"Connection", "close"},
                      {"x-good", "kept"}};
  return response;
}

}  // namespace

Result<std::size_t> Routes::admit(const RequestHead& head) {
  for (const PostRoute& route : kPostRoutes) {
    if (!matches(head.path, route.path)) continue;
    if (head.method != "POST") {
      return unsupported(str(head.path, " answers POST only"))
          .with_where("method")
          .with_hint("POST");
    }
    if (head.path == "/json" && head.header("content-type") != "application/json") {
      return unsupported("send application/json").with_where("content-type");
    }
    return route.body_size_max;
  }
  for (const std::string_view route : kGetRoutes) {
    if (!matches(head.path, route)) continue;
    if (head.method != "GET") {
      return unsupported(str(head.path, " answers GET only"))
          .with_where("method")
          .with_hint("GET, HEAD");
    }
    return std::size_t{0};
  }
  return not_found("no such route");
}

void Routes::dispatch(std::shared_ptr<Exchange> exchange) {
  const RequestHead& head = exchange->request().head;
  const std::string& path = head.path;
  const int number = std::atoi(head.query.c_str());
  if (path == "/hello") {
    exchange->respond(text("hello"));
  } else if (path == "/hold" || path == "/keep") {
    hold(std::move(exchange));
  } else if (head.method == "POST") {
    Response response = text(exchange->request().body);
    response.headers.emplace_back("x-body-size", str(response.body.size()));
    exchange->respond(std::move(response));
  } else if (path == "/stream") {
    stream(*exchange, number);
  } else if (path.starts_with("/path/")) {
    exchange->respond(text(path));
  } else if (path == "/query") {
    exchange->respond(text(head.query));
  } else if (path.starts_with("/header/")) {
    exchange->respond(text(std::string(head.header(path.substr(8)))));
  } else if (path == "/sleep") {
    std::this_thread::sleep_for(std::chrono::milliseconds(number));
    exchange->respond(text("slept"));
  } else if (path == "/none") {
    Response response;
    response.status = 204;
    response.body = "never sent";
    exchange->respond(std::move(response));
  } else if (path == "/drop-stream") {
    exchange->start_stream(stream_head());
    exchange->write("data: cut\n\n");
  } else if (path == "/throw") {
    throw std::runtime_error("planted");
  } else if (path == "/twice") {
    exchange->respond(text("first"));
    exchange->respond(text("second"));
  } else if (path == "/inject") {
    exchange->respond(hostile());
  } else if (path.starts_with("/error/")) {
    exchange->respond(gateway::http::error_response(status_named(path.substr(7))));
  } else if (path == "/flood") {
    flood(*exchange);
  }
}

void Routes::hold(std::shared_ptr<Exchange> exchange) {
  exchange->on_disconnect([this] {
    const std::scoped_lock lock(mutex_);
    ++left_count_;
    changed_.notify_all();
  });
  const std::scoped_lock lock(mutex_);
  held_.push_back(std::move(exchange));
  changed_.notify_all();
}

void Routes::flood(Exchange& exchange) {
  exchange.start_stream(stream_head());
  const std::string event = "data: " + std::string(1000, 'x') + "\n\n";
  while (exchange.write(event)) {
    flood_bytes += event.size();
    if (flood_bytes % (64 * event.size()) == 0) std::this_thread::yield();
  }
  is_flood_over = true;
}

std::vector<std::shared_ptr<Exchange>> Routes::take_held(std::size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(10), [&] { return held_.size() >= count; });
  return std::exchange(held_, {});
}

bool Routes::wait_left(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return left_count_ >= count; });
}

class RouteWebSocket final : public gateway::http::WebSocketHandler {
 public:
  RouteWebSocket(Routes& routes, std::string path) : routes_(routes), path_(std::move(path)) {
    ++routes_.websocket_handler_count;
  }
  ~RouteWebSocket() override { --routes_.websocket_handler_count; }

  void on_open(std::shared_ptr<gateway::http::WebSocket> socket) override {
    socket_ = std::move(socket);
    const std::scoped_lock lock(routes_.mutex_);
    routes_.last_websocket_ = socket_;
  }
  void on_message(std::string message, std::shared_ptr<void>) override {
    if (path_ == "/ws/flood") {
      while (socket_->send(std::string(1000, 'x'))) {
      }
    } else if (path_ == "/ws/work") {
      if (message == "end") {
        socket_->send("ended");
        socket_->work_ended();
      } else {
        socket_->work_began();
        socket_->send("began");
      }
    } else {
      socket_->send(message);
    }
  }
  void on_overload() override { socket_->send("overload"); }
  void on_close() override { is_closed_ = true; }

 private:
  Routes& routes_;
  const std::string path_;
  std::shared_ptr<gateway::http::WebSocket> socket_;
  bool is_closed_ = false;
};

Result<std::shared_ptr<gateway::http::WebSocketHandler>> Routes::open_websocket(
    const RequestHead& head) {
  if (!head.path.starts_with("/ws/")) return invalid_argument("no WebSocket path");
  return std::shared_ptr<gateway::http::WebSocketHandler>(
      std::make_shared<RouteWebSocket>(*this, head.path));
}

std::shared_ptr<gateway::http::WebSocket> Routes::last_websocket() {
  const std::scoped_lock lock(mutex_);
  return last_websocket_;
}

}  // namespace inferneo::http_test
