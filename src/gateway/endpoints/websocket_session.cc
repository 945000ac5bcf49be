#include "gateway/endpoints/websocket_session.h"

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/response_store.h"
#include "gateway/endpoints/websocket_exchange.h"
#include "gateway/endpoints/websocket_frames.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

// What a connection remembers of responses that are not to be stored: its last turns.
constexpr ResponseStoreLimits kSessionResponses{
    .count_max = 32, .bytes_max = 8 * 1024 * 1024, .age_max = limits::kResponseStoreAgeMax};

class Session final : public http::WebSocketHandler, public std::enable_shared_from_this<Session> {
 public:
  Session(const Services& services, const Endpoint& endpoint, const WebSocketProtocol& protocol)
      : endpoint_(endpoint), protocol_(protocol), services_(services) {
    services_.responses =
        std::make_shared<ResponseStore>(kSessionResponses, *services.clock, services.responses);
  }

  void on_open(std::shared_ptr<http::WebSocket> socket) override;
  void on_message(std::string message, std::shared_ptr<void> reservation) override;
  void on_overload() override;
  void on_close() override;

 private:
  using Exchanges = std::map<std::string, std::weak_ptr<WebSocketExchange>, std::less<>>;

  void send_error(std::string_view id, const Status& status);
  Result<std::string> take_id(Value::Dict& message) const;
  void handle(Value::Dict message, const std::string& id, std::shared_ptr<void> reservation);
  Status begin(Value::Dict body, const std::string& id, std::shared_ptr<void> reservation);
  Status authenticate(const Value::Dict& message);
  void cancel(const std::string& id);
  void ended(const std::string& id);

  const Endpoint& endpoint_;
  const WebSocketProtocol& protocol_;
  Services services_;
  std::shared_ptr<http::WebSocket> socket_;  // set by on_open, before any message

  std::mutex mutex_;  // guards what follows
  std::string authorization_;
  Exchanges exchanges_;
  bool is_closed_ = false;
};

// Takes a member out; null when there is none.
Value take_member(Value::Dict& members, std::string_view name) {
  for (auto at = members.begin(); at != members.end(); ++at) {
    if (at->first != name) continue;
    Value value = std::move(at->second);
    members.erase(at);
    return value;
  }
  return {};
}

void Session::on_open(std::shared_ptr<http::WebSocket> socket) {
  socket_ = std::move(socket);
  authorization_ = socket_->head().header("authorization");
}

void Session::send_error(std::string_view id, const Status& status) {
  const http::Response response = http::error_response(status);
  // {"error":{...}}: the object alone.
  const std::string_view error =
      std::string_view(response.body).substr(9, response.body.size() - 10);
  socket_->send(protocol_.error(id, response.status, error));
}

// The id that the client gave its request, as JSON; empty when it needs none.
Result<std::string> Session::take_id(Value::Dict& message) const {
  const Value value = take_member(message, protocol_.id_member);
  if (value.is_null()) return std::string();
  const std::string* text = value.as_string();
  const bool fits =
      text != nullptr && !text->empty() && text->size() <= limits::kWebSocketRequestIdSizeMax;
  if (fits || value.as_int() != nullptr) return text::to_json(value);
  return invalid_argument(str("'",
                              protocol_.id_member,
                              "' must be an integer or a string of 1 to ",
                              limits::kWebSocketRequestIdSizeMax,
                              " bytes"))
      .with_where(std::string(protocol_.id_member));
}

void Session::on_message(std::string message, std::shared_ptr<void> reservation) {
  Result<Value::Dict> object = parse_json_object(message);
  if (!object.has_value()) return send_error({}, object.error());
  Result<std::string> id = take_id(*object);
  if (!id.has_value()) return send_error({}, id.error());
  handle(*std::move(object), *id, std::move(reservation));
}

void Session::handle(Value::Dict message,
                     const std::string& id,
                     std::shared_ptr<void> reservation) {
  const Value type_value = take_member(message, "type");
  const std::string type = type_value.as_string() == nullptr ? std::string(protocol_.create_type)
                                                             : *type_value.as_string();
  if (type == "ping") {
    socket_->send(websocket_note(protocol_, "pong", id));
    return;
  }
  if (type == "pong") return;
  if (type == "authenticate" || type == "auth") {
    const Status status = authenticate(message);
    if (!status.ok()) return send_error(id, status);
    socket_->send(websocket_note(protocol_, "authenticated", id));
    return;
  }
  if (type == protocol_.cancel_type) return cancel(id);
  Status status = ok_status();
  if (type != protocol_.create_type) {
    status = invalid_argument(str("'type' must be \"",
                                  protocol_.create_type,
                                  "\", \"",
                                  protocol_.cancel_type,
                                  "\", \"authenticate\" or \"ping\", but is '",
                                  printable(type),
                                  "'"))
                 .with_where("type");
  } else if (protocol_.id_required && id.empty()) {
    status = invalid_argument(str("'", protocol_.id_member, "' must be given"))
                 .with_where(std::string(protocol_.id_member));
  } else {
    status = begin(std::move(message), id, std::move(reservation));
  }
  if (!status.ok()) send_error(id, status);
}

Status Session::authenticate(const Value::Dict& message) {
  for (const auto& [name, value] : message) {
    if (name != "api_key" && name != "token" && name != "authorization") continue;
    const std::string* text = value.as_string();
    if (text == nullptr || text->empty() || text->size() > limits::kHttpHeaderSizeMax) {
      return invalid_argument(str("'", name, "' must be a string that is not empty"))
          .with_where(name);
    }
    const std::lock_guard lock(mutex_);
    authorization_ = name == "authorization" ? *text : str("Bearer ", *text);
    return ok_status();
  }
  return invalid_argument("'api_key' must be given").with_where("api_key");
}

// Makes the message a request to the endpoint and runs its handler.
Status Session::begin(Value::Dict body, const std::string& id, std::shared_ptr<void> reservation) {
  // The body is beside the id, or a member of its own.
  for (const std::string_view name : {"body", "response"}) {
    Value inner = take_member(body, name);
    if (inner.is_null()) continue;
    if (inner.as_dict() == nullptr || !body.empty()) {
      return invalid_argument(str("'", name, "' must be an object, beside which nothing is given"))
          .with_where(std::string(name));
    }
    body = std::move(*inner.as_dict());
    break;
  }
  if (protocol_.always_streams) {
    const Value background = take_member(body, "background");
    if (background.as_bool() != nullptr && *background.as_bool()) {
      return unsupported("'background' is not supported over WebSocket").with_where("background");
    }
    take_member(body, "stream");
    body.emplace_back("stream", Value(true));
  }
  WebSocketExchange::Options options;
  options.request.head = socket_->head();
  options.request.head.method = "POST";
  options.request.head.path = protocol_.path;
  options.request.head.request_id = random_id("req-", 16);
  options.request.body = text::to_json(Value(std::move(body)));
  options.id = id;
  options.protocol = &protocol_;
  options.socket = socket_;
  options.owner = shared_from_this();
  options.reservation = std::move(reservation);
  options.on_end = [this, id] { ended(id); };
  std::shared_ptr<WebSocketExchange> exchange;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return ok_status();
    auto& headers = options.request.head.headers;
    std::erase_if(headers, [](const auto& field) { return field.first == "authorization"; });
    if (!authorization_.empty()) headers.emplace_back("authorization", authorization_);
    if (exchanges_.contains(id)) {
      return already_exists(id.empty()
                                ? std::string("a response is in progress on this connection")
                                : str("a request of this ", protocol_.id_member, " is in progress"))
          .with_where(std::string(protocol_.id_member));
    }
    if (exchanges_.size() >= limits::kWebSocketRequestCountMax) {
      return resource_exhausted(str("the connection has ",
                                    limits::kWebSocketRequestCountMax,
                                    " requests in flight, which is the most"))
          .with_where("quota");
    }
    exchange = std::make_shared<WebSocketExchange>(std::move(options));
    exchanges_.emplace(id, exchange);
  }
  endpoint_.handle(services_, std::move(exchange));
  return ok_status();
}

void Session::ended(const std::string& id) {
  const std::lock_guard lock(mutex_);
  exchanges_.erase(id);
}

void Session::cancel(const std::string& id) {
  std::shared_ptr<WebSocketExchange> exchange;
  {
    const std::lock_guard lock(mutex_);
    const auto found = exchanges_.find(id);
    if (found != exchanges_.end()) exchange = found->second.lock();
  }
  if (exchange == nullptr) {
    return send_error(
        id, not_found(str("no request of this ", protocol_.id_member, " is in progress")));
  }
  exchange->cancel();
  socket_->send(
      websocket_note(protocol_, protocol_.always_streams ? "response.cancelled" : "cancelled", id));
}

void Session::on_overload() {
  send_error({}, unavailable("the server is overloaded: try again later"));
}

void Session::on_close() {
  Exchanges exchanges;
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    exchanges = exchanges_;
  }
  for (const auto& [id, weak] : exchanges) {
    if (const auto exchange = weak.lock()) exchange->cancel();
  }
}

}  // namespace

std::shared_ptr<http::WebSocketHandler> make_websocket_session(const Services& services,
                                                               std::string_view path) {
  const WebSocketProtocol* protocol = find_websocket_protocol(path);
  if (protocol == nullptr) return nullptr;
  for (const Endpoint* endpoint : endpoint_table()) {
    if (endpoint->method == "POST" && endpoint->path == path) {
      return std::make_shared<Session>(services, *endpoint, *protocol);
    }
  }
  return nullptr;
}

}  // namespace inferneo::gateway::endpoints
