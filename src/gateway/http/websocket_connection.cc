#include "gateway/http/websocket_connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "gateway/http/response_head.h"
#include "gateway/http/websocket_handshake.h"

namespace inferneo::gateway::http {
namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

namespace {

using boost::system::error_code;

TimePoint steady_now() { return std::chrono::steady_clock::now(); }

class Session;

// What handlers hold: takes messages and wishes, and wakes the session.
class Outlet final : public WebSocket {
 public:
  Outlet(RequestHead head, Session& session, ConnectionHost& host, std::size_t buffer_size_max)
      : head_(std::move(head)),
        buffer_size_max_(buffer_size_max),
        session_(&session),
        host_(&host) {}

  // The handler's side. Thread: any.
  [[nodiscard]] const RequestHead& head() const override { return head_; }
  bool send(std::string_view message) override;
  void close(std::uint16_t code, std::string_view reason) override;
  void work_began() override;
  void work_ended() override;

  // The session's side. Thread: io.
  struct Output {
    std::string message;                                              // empty: none waits
    std::optional<std::pair<std::uint16_t, std::string>> close_wish;  // behind the last message
    bool is_slow = false;
    std::size_t ended_count = 0;  // pieces of work whose messages have all been written
  };
  // Precondition: the message that was taken before has been written.
  Output take();
  [[nodiscard]] bool is_slow();
  void sent(std::size_t size);
  [[nodiscard]] bool is_idle();
  // Nothing refers to the session any more. Work that is in progress is over for the server.
  void detach();

 private:
  void wake_locked();

  const RequestHead head_;
  const std::size_t buffer_size_max_;
  std::mutex mutex_;
  Session* session_;      // null after the end
  ConnectionHost* host_;  // as long as session_
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  std::optional<std::pair<std::uint16_t, std::string>> close_wish_;
  bool is_slow_ = false;
  bool is_wake_pending_ = false;
  std::size_t work_count_ = 0;
  std::size_t ended_count_ = 0;  // over for the handler, but not yet for the server
};

class Session final : public WebSocketConnection, public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket,
          RequestHead head,
          std::shared_ptr<WebSocketHandler> handler,
          ConnectionHost& host,
          UniqueFunction<void()> on_end)
      : executor_(socket.get_executor()),
        stream_(std::move(socket)),
        outlet_(std::make_shared<Outlet>(
            std::move(head), *this, host, host.options().response_buffer_size_max)),
        handler_(std::move(handler)),
        host_(host),
        on_end_(std::move(on_end)),
        reservation_(host.body_budget()) {}

  void start() override;
  void check_deadlines(TimePoint now) override;
  void stop() override;
  void abort() override { end(); }

  // Thread: any.
  void wake() {
    asio::post(executor_, [self = shared_from_this()] { self->on_wake(); });
  }

 private:
  void on_accepted();
  void read();
  void on_read(const error_code& error);
  void deliver();
  void on_control(websocket::frame_type kind);
  void on_wake();
  void on_written(const error_code& error);
  void begin_close(std::uint16_t code, std::string_view reason);
  void end();
  [[nodiscard]] bool has_client_read();

  const Socket::executor_type executor_;
  websocket::stream<Socket> stream_;
  const std::shared_ptr<Outlet> outlet_;
  const std::shared_ptr<WebSocketHandler> handler_;
  ConnectionHost& host_;
  UniqueFunction<void()> on_end_;

  std::string accept_head_;
  boost::beast::flat_buffer in_;
  BodyReservation reservation_;
  std::string out_;  // being written
  bool is_writing_ = false;
  bool is_reading_ = false;
  bool is_closing_ = false;
  bool is_ended_ = false;
  bool is_stopping_ = false;
  bool is_goodbye_ = false;  // a close that the server waits for
  int control_count_ = 0;    // within the second since
  TimePoint control_since_{};
  int unacknowledged_ = 0;  // bytes in the kernel when last looked at
  TimePoint write_deadline_ = TimePoint::max();
  TimePoint read_deadline_ = TimePoint::max();  // of a message that has begun
  TimePoint close_deadline_ = TimePoint::max();
};

bool Outlet::send(std::string_view message) {
  const std::scoped_lock lock(mutex_);
  if (session_ == nullptr || is_slow_) return false;
  if (queued_bytes_ + message.size() > buffer_size_max_) {
    is_slow_ = true;
    // Even when a wake is pending: a session that is stuck in a write takes nothing.
    session_->wake();
    return false;
  }
  queued_bytes_ += message.size();
  queue_.emplace_back(message);
  wake_locked();
  return true;
}

void Outlet::close(std::uint16_t code, std::string_view reason) {
  const std::scoped_lock lock(mutex_);
  if (session_ == nullptr || close_wish_) return;
  close_wish_.emplace(code, reason);
  wake_locked();
}

void Outlet::wake_locked() {
  if (!std::exchange(is_wake_pending_, true)) session_->wake();
}

void Outlet::work_began() {
  const std::scoped_lock lock(mutex_);
  if (session_ == nullptr) return;
  ++work_count_;
  host_->exchange_began();
}

void Outlet::work_ended() {
  const std::scoped_lock lock(mutex_);
  if (session_ == nullptr || work_count_ == 0) return;
  --work_count_;
  ++ended_count_;
  wake_locked();
}

Outlet::Output Outlet::take() {
  const std::scoped_lock lock(mutex_);
  is_wake_pending_ = false;
  Output output;
  output.is_slow = is_slow_;
  if (queue_.empty()) {
    output.close_wish = std::exchange(close_wish_, std::nullopt);
    output.ended_count = std::exchange(ended_count_, 0);
  } else {
    output.message = std::move(queue_.front());
    queue_.pop_front();
  }
  return output;
}

void Outlet::sent(std::size_t size) {
  const std::scoped_lock lock(mutex_);
  queued_bytes_ -= size;
}

bool Outlet::is_slow() {
  const std::scoped_lock lock(mutex_);
  return is_slow_;
}

bool Outlet::is_idle() {
  const std::scoped_lock lock(mutex_);
  return work_count_ == 0;
}

void Outlet::detach() {
  const std::scoped_lock lock(mutex_);
  if (session_ == nullptr) return;
  for (; work_count_ > 0; --work_count_) host_->exchange_ended();
  for (; ended_count_ > 0; --ended_count_) host_->exchange_ended();
  session_ = nullptr;
  host_ = nullptr;
  queue_.clear();
}

// Why not Beast's own accept: the request was read and checked before, more strictly.
void Session::start() {
  websocket::stream_base::timeout timeouts{};
  timeouts.handshake_timeout = limits::kWebSocketCloseTimeout;
  timeouts.idle_timeout = host_.options().websocket_idle_timeout;
  timeouts.keep_alive_pings = true;
  stream_.set_option(timeouts);
  stream_.read_message_max(limits::kHttpBodySizeMax);
  stream_.text(true);
  stream_.auto_fragment(false);
  stream_.control_callback(
      [this](websocket::frame_type kind, boost::beast::string_view) { on_control(kind); });
  // Beast reads the handshake from these bytes and writes its answer.
  accept_head_ =
      str("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
          outlet_->head().header("sec-websocket-key"),
          "\r\n\r\n");
  stream_.set_option(websocket::stream_base::decorator(
      [id = outlet_->head().request_id](websocket::response_type& response) {
        response.set(boost::beast::http::field::server, "inferneo");
        response.set("x-request-id", id);
      }));
  stream_.async_accept(asio::buffer(accept_head_),
                       [self = shared_from_this()](const error_code& error) {
                         if (self->is_ended_) return;
                         if (error) return self->end();
                         self->on_accepted();
                       });
}

void Session::on_accepted() {
  handler_->on_open(outlet_);
  if (is_stopping_) begin_close(kCloseGoingAway, "the server stops");
  read();
}

void Session::read() {
  if (is_ended_ || is_reading_) return;
  is_reading_ = true;
  stream_.async_read_some(
      in_, 0, [self = shared_from_this()](const error_code& error, std::size_t) {
        self->is_reading_ = false;
        if (!self->is_ended_) self->on_read(error);
      });
}

void Session::on_read(const error_code& error) {
  // Beast has answered what breaks the protocol with its close code by now.
  if (error) return end();
  control_count_ = 0;
  if (stream_.got_binary()) {
    begin_close(kCloseUnsupportedData, "messages must be text");
    in_.consume(in_.size());
    return read();
  }
  if (!is_closing_ && in_.size() > 0 && !reservation_.grow_to(in_.size())) {
    begin_close(kCloseTryAgainLater, "the server holds too many request bodies");
  }
  if (is_closing_) {
    in_.consume(in_.size());
    return read();
  }
  if (!stream_.is_message_done()) {
    if (read_deadline_ == TimePoint::max()) {
      read_deadline_ = steady_now() + limits::kRequestTimeout;
    }
    read_deadline_ = std::min(read_deadline_, steady_now() + host_.options().body_idle_timeout);
    return read();
  }
  read_deadline_ = TimePoint::max();
  deliver();
}

// Hands the message to a front thread; the next one is read when that has handled it.
void Session::deliver() {
  const auto data = in_.cdata();
  std::string message(static_cast<const char*>(data.data()), data.size());
  in_.consume(in_.size());
  in_.shrink_to_fit();
  // Beast misses a character that an empty last fragment leaves unfinished.
  if (!utf8::is_valid(message)) {
    begin_close(kCloseBadData, "the message is not valid UTF-8");
    return read();
  }
  auto reservation = std::make_shared<BodyReservation>(std::move(reservation_));
  reservation_ = BodyReservation(host_.body_budget());
  UniqueFunction<void()> task = [self = shared_from_this(),
                                 message = std::move(message),
                                 reservation = std::move(reservation)]() mutable {
    self->handler_->on_message(std::move(message), std::move(reservation));
    asio::post(self->executor_, [self] { self->read(); });
  };
  if (host_.submit_task(task)) return;
  handler_->on_overload();
  read();
}

// A client that sends nothing but control frames costs work and says nothing.
void Session::on_control(websocket::frame_type kind) {
  if (kind == websocket::frame_type::close) return;
  const TimePoint now = steady_now();
  if (now - control_since_ > std::chrono::seconds(1)) {
    control_since_ = now;
    control_count_ = 0;
  }
  if (++control_count_ <= limits::kWebSocketControlPerSecondMax) return;
  // Not from within Beast's read.
  asio::post(executor_, [self = shared_from_this()] {
    self->begin_close(kClosePolicy, "too many control frames");
  });
}

void Session::on_wake() {
  if (is_ended_ || is_closing_) return;
  if (is_writing_) {
    // Only a reader that is too slow interrupts a write.
    if (!outlet_->is_slow()) return;
  }
  Outlet::Output output = outlet_->take();
  if (output.is_slow) {
    host_.metrics().slow_reader_cancels.add();
    return end();
  }
  if (output.message.empty()) {
    if (output.close_wish) begin_close(output.close_wish->first, output.close_wish->second);
    if (is_stopping_ && outlet_->is_idle()) begin_close(kCloseGoingAway, "the server stops");
    // Behind the goodbye, for which the server waits as well.
    for (; output.ended_count > 0; --output.ended_count) host_.exchange_ended();
    return;
  }
  out_ = std::move(output.message);
  is_writing_ = true;
  write_deadline_ = steady_now() + host_.options().write_stall_timeout;
  stream_.async_write(asio::buffer(out_),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        self->on_written(error);
                      });
}

void Session::on_written(const error_code& error) {
  is_writing_ = false;
  write_deadline_ = TimePoint::max();
  if (is_ended_) return;
  if (error) return end();
  outlet_->sent(out_.size());
  out_.clear();
  on_wake();
}

void Session::begin_close(std::uint16_t code, std::string_view reason) {
  if (is_closing_ || is_ended_) return;
  is_closing_ = true;
  close_deadline_ = steady_now() + limits::kWebSocketCloseTimeout;
  if (is_stopping_) {
    // The server stays until the goodbye is answered, but not long.
    is_goodbye_ = true;
    host_.exchange_began();
    close_deadline_ = steady_now() + limits::kWebSocketGoodbyeTimeout;
  }
  const websocket::close_reason why(static_cast<websocket::close_code>(code),
                                    boost::beast::string_view(reason.data(), reason.size()));
  stream_.async_close(why, [self = shared_from_this()](const error_code&) {
    if (!self->is_ended_) self->end();
  });
}

void Session::end() {
  if (std::exchange(is_ended_, true)) return;
  const auto self = shared_from_this();
  error_code ignored;
  stream_.next_layer().close(ignored);
  outlet_->detach();
  handler_->on_close();
  if (is_goodbye_) host_.exchange_ended();
  if (UniqueFunction<void()> on_end = std::move(on_end_)) on_end();
}

void Session::stop() {
  is_stopping_ = true;
  on_wake();
}

bool Session::has_client_read() {
  int unacknowledged = 0;
  if (::ioctl(stream_.next_layer().native_handle(), SIOCOUTQ, &unacknowledged) != 0) return false;
  return unacknowledged < std::exchange(unacknowledged_, unacknowledged);
}

void Session::check_deadlines(TimePoint now) {
  if (is_ended_) return;
  if (is_writing_ && has_client_read()) {
    write_deadline_ = now + host_.options().write_stall_timeout;
  }
  if (now >= write_deadline_) {
    host_.metrics().slow_reader_cancels.add();
    return end();
  }
  if (now >= close_deadline_) return end();
  if (now >= read_deadline_) {
    read_deadline_ = TimePoint::max();
    begin_close(kClosePolicy, "the message did not arrive in time");
  }
}

}  // namespace

std::shared_ptr<WebSocketConnection> WebSocketConnection::create(
    Socket socket,
    RequestHead head,
    std::shared_ptr<WebSocketHandler> handler,
    ConnectionHost& host,
    UniqueFunction<void()> on_end) {
  return std::make_shared<Session>(
      std::move(socket), std::move(head), std::move(handler), host, std::move(on_end));
}

}  // namespace inferneo::gateway::http
