#include "gateway/endpoints/websocket_exchange.h"

#include <utility>

namespace inferneo::gateway::endpoints {
namespace {

// The value of the member "error" of an error body, which http::error_json() wrote.
std::string_view error_object(std::string_view body) {
  constexpr std::string_view kBegin = "{\"error\":";
  if (!body.starts_with(kBegin) || !body.ends_with('}')) return {};
  body.remove_prefix(kBegin.size());
  body.remove_suffix(1);
  return body;
}

}  // namespace

WebSocketExchange::WebSocketExchange(Options options) : options_(std::move(options)) {
  options_.socket->work_began();
}

// Nobody can answer any more.
WebSocketExchange::~WebSocketExchange() {
  std::unique_lock lock(mutex_);
  if (stage_ == Stage::kEnded) return;
  free_name();
  if (!is_cancelled_) {
    const Status dropped = internal_error("the handler dropped the request without an answer");
    send(options_.protocol->error(
        options_.id, 500, error_object(http::error_response(dropped).body)));
  }
  end(lock);
}

void WebSocketExchange::send(const std::string& message) {
  if (message.empty() || is_cancelled_ || is_gone_) return;
  is_gone_ = !options_.socket->send(message);
}

// Why before the last message is sent: its reader may use the name at once.
void WebSocketExchange::free_name() {
  if (UniqueFunction<void()> on_end = std::move(options_.on_end)) on_end();
}

// Releases the lock.
void WebSocketExchange::end(std::unique_lock<std::mutex>& lock) {
  stage_ = Stage::kEnded;
  free_name();
  const UniqueFunction<void()> dropped = std::move(callback_);
  lock.unlock();
  options_.socket->work_ended();
}

void WebSocketExchange::respond(http::Response response) {
  std::unique_lock lock(mutex_);
  if (stage_ != Stage::kWaiting) return;
  free_name();
  const std::string_view error =
      response.status >= 400 ? error_object(response.body) : std::string_view();
  if (response.status >= 400) {
    send(options_.protocol->error(
        options_.id, response.status, error.empty() ? std::string_view("{}") : error));
  } else {
    send(options_.protocol->whole(options_.id, response.body));
  }
  end(lock);
}

void WebSocketExchange::start_stream(http::Response) {
  const std::scoped_lock lock(mutex_);
  if (stage_ == Stage::kWaiting) stage_ = Stage::kStreaming;
}

bool WebSocketExchange::write(std::string_view bytes) {
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::kStreaming || is_cancelled_) return false;
  pending_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = pending_.find("\n\n"); end != std::string::npos;
       end = pending_.find("\n\n", begin)) {
    if (!send_event(std::string_view(pending_).substr(begin, end - begin))) return false;
    begin = end + 2;
  }
  pending_.erase(0, begin);
  return !is_gone_;
}

// One server-sent event: lines "event: ..." and "data: ...", or a comment.
bool WebSocketExchange::send_event(std::string_view event) {
  constexpr std::string_view kData = "data: ";
  const std::size_t at = event.starts_with(kData) ? 0 : event.find("\ndata: ");
  if (at == std::string_view::npos) return true;
  const std::string_view data = event.substr(at == 0 ? kData.size() : at + 1 + kData.size());
  if (data == "[DONE]") return true;
  const std::string_view error = error_object(data);
  if (!error.empty()) {
    has_failed_ = true;
    free_name();
    send(options_.protocol->error(options_.id, 500, error));
  } else {
    if (options_.protocol->is_last != nullptr && options_.protocol->is_last(data)) free_name();
    send(options_.protocol->chunk(options_.id, data));
  }
  return !is_gone_;
}

void WebSocketExchange::end_stream() {
  std::unique_lock lock(mutex_);
  if (stage_ != Stage::kStreaming) return;
  free_name();
  if (!has_failed_) send(options_.protocol->done(options_.id));
  end(lock);
}

void WebSocketExchange::on_disconnect(UniqueFunction<void()> callback) {
  {
    const std::scoped_lock lock(mutex_);
    if (stage_ == Stage::kEnded) return;
    if (!is_cancelled_) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

void WebSocketExchange::cancel() {
  UniqueFunction<void()> callback;
  {
    const std::scoped_lock lock(mutex_);
    if (stage_ == Stage::kEnded) return;
    is_cancelled_ = true;
    callback = std::move(callback_);
  }
  if (callback) callback();
}

}  // namespace inferneo::gateway::endpoints
