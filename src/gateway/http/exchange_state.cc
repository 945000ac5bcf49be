#include "gateway/http/exchange_state.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

namespace inferneo::gateway::http {
namespace {

class Handle final : public Exchange {
 public:
  explicit Handle(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  ~Handle() override { state_->abandon(); }

  [[nodiscard]] const Request& request() const override { return state_->request(); }
  void respond(Response response) override { state_->respond(std::move(response)); }
  void start_stream(Response head) override { state_->start_stream(std::move(head)); }
  bool write(std::string_view bytes) override { return state_->write(bytes); }
  [[nodiscard]] std::size_t waiting_size() const override { return state_->waiting_size(); }
  void end_stream() override { state_->end_stream(); }
  void on_disconnect(UniqueFunction<void()> callback) override {
    state_->on_disconnect(std::move(callback));
  }
  void resume(UniqueFunction<void()> task) override { state_->resume(std::move(task)); }
  bool begin_events() override { return state_->begin_events(); }

 private:
  const std::shared_ptr<ExchangeState> state_;
};

}  // namespace

std::shared_ptr<Exchange> make_exchange(std::shared_ptr<ExchangeState> state) {
  return std::make_shared<Handle>(std::move(state));
}

ExchangeState::ExchangeState(Request request,
                             Wakeable& connection,
                             std::size_t buffer_size_max,
                             BodyReservation body)
    : body_(std::move(body)),
      request_(std::move(request)),
      buffer_size_max_(buffer_size_max),
      connection_(&connection) {}

void ExchangeState::respond(Response response) {
  UniqueFunction<void()> dropped;  // destroyed outside the lock: it may own what calls us
  const std::scoped_lock lock(mutex_);
  if (is_early_) {
    is_early_ = false;
    stream_bytes_ += str("data: ", response.body, "\n\n");
    stage_ = Stage::kEnded;
    dropped = std::move(callback_);
    wake_locked();
    return;
  }
  if (stage_ != Stage::kWaiting) {
    log::error("http", "a second answer to " + request_.head.request_id + " is dropped");
    return;
  }
  stage_ = Stage::kResponded;
  head_ = std::move(response);
  dropped = std::move(callback_);
  wake_locked();
}

void ExchangeState::start_stream(Response head) {
  const std::scoped_lock lock(mutex_);
  if (std::exchange(is_early_, false)) return;
  if (stage_ != Stage::kWaiting) {
    log::error("http", "a second answer to " + request_.head.request_id + " is dropped");
    return;
  }
  stage_ = Stage::kStreaming;
  head.body.clear();
  head_ = std::move(head);
  wake_locked();
}

bool ExchangeState::write(std::string_view bytes) {
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::kStreaming || connection_ == nullptr || has_left_ || is_slow_) return false;
  if (stream_bytes_.size() + unsent_ + bytes.size() > buffer_size_max_) {
    is_slow_ = true;
    // Even when a wake is pending: a connection that is stuck in a write takes nothing.
    connection_->wake();
    return false;
  }
  if (bytes.empty()) return true;
  stream_bytes_.append(bytes);
  wake_locked();
  return true;
}

std::size_t ExchangeState::waiting_size() {
  const std::scoped_lock lock(mutex_);
  return stream_bytes_.size() + unsent_;
}

void ExchangeState::end_stream() {
  UniqueFunction<void()> dropped;
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::kStreaming) return;
  stage_ = Stage::kEnded;
  dropped = std::move(callback_);
  wake_locked();
}

void ExchangeState::on_disconnect(UniqueFunction<void()> callback) {
  {
    const std::scoped_lock lock(mutex_);
    if (is_answered()) return;
    if (connection_ != nullptr && !has_left_) {
      callback_ = std::move(callback);
      return;
    }
  }
  if (callback) callback();
}

void ExchangeState::resume(UniqueFunction<void()> task) {
  UniqueFunction<void()> dropped;  // destroyed outside the lock: it may own this exchange
  const std::scoped_lock lock(mutex_);
  if (connection_ == nullptr || has_left_) {
    dropped = std::move(task);
  } else {
    connection_->resume(std::move(task));
  }
}

bool ExchangeState::begin_events() {
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::kWaiting || connection_ == nullptr || has_left_) return false;
  stage_ = Stage::kStreaming;
  is_early_ = true;
  Response head;
  head.content_type = "text/event-stream";
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  head_ = std::move(head);
  wake_locked();
  return true;
}

void ExchangeState::abandon() {
  UniqueFunction<void()> dropped;
  const std::scoped_lock lock(mutex_);
  if (is_answered()) return;
  dropped = std::move(callback_);
  if (stage_ == Stage::kWaiting) {
    stage_ = Stage::kResponded;
    head_ = error_response(internal_error("the handler dropped the request without an answer"));
  } else {
    stage_ = Stage::kEnded;
    is_aborted_ = true;
  }
  wake_locked();
}

void ExchangeState::wake_locked() {
  if (is_wake_pending_ || connection_ == nullptr) return;
  is_wake_pending_ = true;
  connection_->wake();
}

ExchangeState::Output ExchangeState::take(std::string& stream_bytes) {
  const std::scoped_lock lock(mutex_);
  is_wake_pending_ = false;
  Output output;
  output.head = std::exchange(head_, std::nullopt);
  output.is_stream = stage_ == Stage::kStreaming || stage_ == Stage::kEnded;
  output.is_ended = is_answered();
  output.is_aborted = is_aborted_;
  stream_bytes.swap(stream_bytes_);
  unsent_ += stream_bytes.size();
  return output;
}

bool ExchangeState::is_slow() {
  const std::scoped_lock lock(mutex_);
  return is_slow_;
}

void ExchangeState::sent(std::size_t size) {
  const std::scoped_lock lock(mutex_);
  unsent_ -= size;
}

UniqueFunction<void()> ExchangeState::due_callback_locked() {
  UniqueFunction<void()> callback = std::move(callback_);
  return is_answered() ? UniqueFunction<void()>() : std::move(callback);
}

UniqueFunction<void()> ExchangeState::client_left() {
  const std::scoped_lock lock(mutex_);
  has_left_ = true;
  return due_callback_locked();
}

UniqueFunction<void()> ExchangeState::detach() {
  const std::scoped_lock lock(mutex_);
  connection_ = nullptr;
  return due_callback_locked();
}

}  // namespace inferneo::gateway::http
