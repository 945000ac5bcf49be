#include "gateway/http/connection.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "gateway/http/response_head.h"
#include "gateway/http/text.h"
#include "gateway/http/websocket_connection.h"
#include "gateway/http/websocket_handshake.h"

namespace inferneo::gateway::http {
namespace asio = boost::asio;

namespace {

// Room offered to one read: a usual request fits the first, a body streams through the second.
constexpr std::size_t kReadSize = 4 * 1024;
constexpr std::size_t kBodyReadSize = 64 * 1024;
// Bytes of later requests kept while one is served; beyond it the client waits (TCP backpressure).
constexpr std::size_t kPipelineSizeMax = 64 * 1024;
// A refused request's body up to this size is read and dropped so that the connection lives on;
// a larger one costs more than a new connection.
constexpr std::size_t kDroppedBodySizeMax = 64 * 1024;
// How long a closed connection is still read from. Why: closing a socket with unread input resets
// it, and the reset can overtake the answer.
constexpr std::chrono::seconds kLingerTimeout{2};

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kChunkEndAndLast = "\r\n0\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

TimePoint now() { return std::chrono::steady_clock::now(); }

bool is_known_method(std::string_view method) {
  static constexpr std::string_view kMethods[] = {
      "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"};
  return std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

void append_hex(std::string& out, std::size_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value, 16).ptr;
  out.append(digits, end);
}

}  // namespace

Connection::Connection(Socket socket,
                       std::string remote_address,
                       int io_index,
                       ConnectionHost& host)
    : socket_(std::move(socket)),
      remote_address_(std::move(remote_address)),
      io_index_(io_index),
      host_(host) {}

Connection::~Connection() = default;

void Connection::start() {
  parser_.emplace();
  read_deadline_ = now() + host_.options().header_read_timeout;
  read();
}

void Connection::start_refusing(std::string_view why) {
  phase_ = Phase::kService;
  keep_alive_ = false;
  is_body_done_ = false;
  began_at_ = now();
  request_id_ = make_request_id();
  answer_locally(http_error(503, str(why, ": try again later")));
}

void Connection::wake() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->on_wake(); });
}

void Connection::resume(UniqueFunction<void()> task) { host_.resume(std::move(task)); }

void Connection::on_wake() {
  if (is_closed_ || !exchange_) return;
  if (exchange_->is_slow()) return cancel_slow_reader();
  if (!is_writing_) pump();
}

void Connection::cancel_slow_reader() {
  host_.metrics().slow_reader_cancels.add();
  leave_exchange(false);
  close();
}

// Input ---------------------------------------------------------------------------------------

void Connection::make_room(std::size_t size) {
  if (in_begin_ > 0) {
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(in_begin_),
              in_.begin() + static_cast<std::ptrdiff_t>(in_end_),
              in_.begin());
    in_end_ -= in_begin_;
    in_begin_ = 0;
  }
  if (in_.size() - in_end_ < size) {
    in_.resize(in_end_ + size);
  } else if (in_end_ == 0 && in_.size() > size) {
    in_.resize(size);
    in_.shrink_to_fit();
  }
}

void Connection::read() {
  if (is_reading_ || is_input_ended_ || is_closed_ || phase_ == Phase::kUpgrade) return;
  if (phase_ == Phase::kService && unread().size() >= kPipelineSizeMax) return;
  make_room(phase_ == Phase::kBody ? kBodyReadSize : kReadSize);
  is_reading_ = true;
  socket_.async_read_some(
      asio::buffer(in_.data() + in_end_, in_.size() - in_end_),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
        self->on_read(error, size);
      });
}

void Connection::on_read(const boost::system::error_code& error, std::size_t size) {
  is_reading_ = false;
  if (is_closed_) return;
  if (phase_ == Phase::kUpgrade) return begin_websocket();
  if (error) return on_input_end(error != asio::error::eof);
  if (phase_ == Phase::kLinger) return read();
  in_end_ += size;
  if (phase_ == Phase::kBody) {
    read_deadline_ = std::min(body_deadline_, now() + host_.options().body_idle_timeout);
  }
  advance();
  read();
}

void Connection::on_input_end(bool is_reset) {
  is_input_ended_ = true;
  const bool is_answer_on_its_way =
      phase_ == Phase::kService || (phase_ == Phase::kBody && is_refused_ && !is_answer_written_);
  if (is_reset || !is_answer_on_its_way) {
    if (exchange_ && !is_answer_complete_) leave_exchange(true);
    return close();
  }
  keep_alive_ = keep_alive_ && phase_ == Phase::kService;
  if (exchange_ && !is_answer_complete_) {
    leave_exchange(true);
    if (is_stream_begun_) close();
  }
}

// Requests ------------------------------------------------------------------------------------

void Connection::advance() {
  while (!is_closed_) {
    if (phase_ == Phase::kHead && !unread().empty()) {
      if (!advance_head()) return;
    } else if (phase_ == Phase::kBody) {
      if (!advance_body()) return;
    } else {
      return;
    }
  }
}

bool Connection::advance_head() {
  if (!has_head_begun_) {
    has_head_begun_ = true;
    began_at_ = now();
    read_deadline_ = began_at_ + host_.options().header_read_timeout;
  }
  std::size_t consumed = 0;
  const auto progress = parser_->parse_head(unread(), consumed);
  if (progress == RequestParser::Progress::kMore) return false;
  in_begin_ += consumed;
  request_ = {};
  request_.head = std::move(parser_->head());
  const std::string_view client_id = request_.head.header("x-request-id");
  request_id_ = is_valid_request_id(client_id) ? std::string(client_id) : make_request_id();
  if (progress == RequestParser::Progress::kRefused) {
    keep_alive_ = false;
    is_body_done_ = false;
    log_line_ = "-";
    phase_ = Phase::kService;
    answer_locally(http_error(parser_->refusal().status, parser_->refusal().message));
    return false;
  }
  begin_request();
  return true;
}

Refusal Connection::check_request(const RequestHead& head) const {
  const std::string_view host_name = head.header("host");
  if (!host_name.empty() || !parser_->is_http_1_0()) {
    if (Refusal refusal = host_.host_policy().check(host_name)) return refusal;
  }
  if (!is_known_method(head.method)) return {501, "the method is not known"};
  return {};
}

void Connection::begin_request() {
  RequestHead& head = request_.head;
  head.remote_address = remote_address_;
  head.request_id = request_id_;
  keep_alive_ = parser_->keep_alive() && !host_.is_leaving();
  is_body_done_ = !parser_->has_body();
  read_deadline_ = kNever;
  phase_ = Phase::kService;
  log_line_ = str(head.method, " ", printable(head.path));
  // A HEAD request is a GET whose answer is sent without its body.
  is_head_only_ = head.method == "HEAD";
  if (is_head_only_) head.method = "GET";

  std::optional<Response> refused;
  std::size_t body_size_max = 0;
  if (const Refusal refusal = check_request(head)) {
    refused = http_error(refusal.status, refusal.message);
  } else if (wants_websocket(head) && is_body_done_) {
    refused = admit_websocket(head);
    if (!refused) return begin_websocket();
  } else if (const auto admitted = host_.dispatcher().admit(head); !admitted) {
    refused = host_.dispatcher().refusal(head, admitted.error());
  } else {
    body_size_max = *admitted;
  }
  const Framing& framing = parser_->framing();
  if (!refused && framing.length > body_size_max) {
    refused = http_error(413, str("the request body is larger than ", body_size_max, " bytes"));
  }
  if (!refused) {
    if (parser_->has_body()) return begin_body(body_size_max);
    return dispatch();
  }
  if (!is_body_done_) {
    const bool is_cheap_to_drop = framing.kind == Framing::Kind::kLength &&
                                  framing.length <= kDroppedBodySizeMax &&
                                  !parser_->expects_continue();
    if (is_cheap_to_drop) {
      begin_body(kDroppedBodySizeMax);
    } else {
      keep_alive_ = false;
    }
  }
  answer_locally(*std::move(refused));
}

// Refuses, or finds what handles the connection's messages.
std::optional<Response> Connection::admit_websocket(const RequestHead& head) {
  const auto refuse = [](const Refusal& refusal) {
    Response response = http_error(refusal.status, refusal.message);
    if (refusal.status == 426) response.headers.emplace_back("Sec-WebSocket-Version", "13");
    return response;
  };
  if (const Refusal refusal = check_websocket_handshake(head, parser_->is_http_1_0())) {
    return refuse(refusal);
  }
  if (const Refusal refusal = check_origin(head, host_.options().allowed_origins)) {
    return refuse(refusal);
  }
  // Frames are sent when the handshake has been answered, not before.
  if (!unread().empty()) return refuse({400, "bytes follow the handshake before its answer"});
  auto handler = host_.dispatcher().open_websocket(head);
  if (!handler.has_value()) return error_response(handler.error());
  websocket_handler_ = *std::move(handler);
  phase_ = Phase::kUpgrade;
  return std::nullopt;
}

// Gives the socket away once no read of ours is pending on it.
void Connection::begin_websocket() {
  if (is_reading_) {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    return;
  }
  if (websocket_ != nullptr) return;
  status_ = 101;
  record_answer();
  websocket_ = WebSocketConnection::create(std::move(socket_),
                                           std::move(request_.head),
                                           std::move(websocket_handler_),
                                           host_,
                                           [self = shared_from_this()] { self->close(); });
  websocket_->start();
}

void Connection::begin_body(std::size_t size_max) {
  phase_ = Phase::kBody;
  body_size_max_ = size_max;
  body_reservation_ = BodyReservation(host_.body_budget());
  body_deadline_ = now() + limits::kRequestTimeout;
  read_deadline_ = std::min(body_deadline_, now() + host_.options().body_idle_timeout);
  if (parser_->expects_continue() && unread().empty()) {
    out_head_ = kContinue;
    write();
  }
}

bool Connection::advance_body() {
  std::size_t consumed = 0;
  std::string* const sink = is_refused_ ? nullptr : &request_.body;
  const auto progress = parser_->parse_body(unread(), body_size_max_, sink, consumed);
  in_begin_ += consumed;
  if (sink != nullptr && !body_reservation_.grow_to(sink->size())) {
    refuse_body({503, "the server holds too many request bodies: try again later"});
    return false;
  }
  switch (progress) {
    case RequestParser::Progress::kMore:
      return false;
    case RequestParser::Progress::kRefused:
      refuse_body(parser_->refusal());
      return false;
    case RequestParser::Progress::kComplete:
      break;
  }
  is_body_done_ = true;
  read_deadline_ = kNever;
  phase_ = Phase::kService;
  if (!is_refused_) {
    dispatch();
  } else if (is_answer_written_) {
    next_request();
  }
  return true;
}

void Connection::refuse_body(const Refusal& refusal) {
  keep_alive_ = false;
  read_deadline_ = kNever;
  phase_ = Phase::kService;
  if (!is_refused_) {
    std::string().swap(request_.body);
    body_reservation_ = {};
    answer_locally(http_error(refusal.status, refusal.message));
  } else if (is_answer_written_) {
    linger();
  }
}

void Connection::dispatch() {
  exchange_ = std::make_shared<ExchangeState>(std::move(request_),
                                              *this,
                                              host_.options().response_buffer_size_max,
                                              std::move(body_reservation_));
  host_.exchange_began();
  std::shared_ptr<Exchange> exchange = make_exchange(exchange_);
  if (!host_.submit(exchange)) {
    exchange->respond(http_error(503, "the server is overloaded: try again later"));
  }
  if (is_input_ended_) leave_exchange(true);
}

// Answers -------------------------------------------------------------------------------------

void Connection::answer_locally(Response response) {
  is_refused_ = true;
  local_answer_ = std::move(response);
  // Otherwise an interim 100 is being written, and on_written() goes on.
  if (!is_writing_) write_local_answer();
}

void Connection::write_local_answer() {
  const Response response = *std::exchange(local_answer_, std::nullopt);
  is_answer_complete_ = true;
  out_body_ = response.body;
  write_head(response, false);
  write();
}

void Connection::write_head(const Response& head, bool is_stream) {
  status_ = head.status;
  ResponseFraming framing;
  framing.is_http_1_0 = parser_ && parser_->is_http_1_0();
  is_chunked_ = is_stream && !framing.is_http_1_0;
  if (is_stream && framing.is_http_1_0) keep_alive_ = false;
  if (host_.is_leaving()) keep_alive_ = false;
  framing.keep_alive = keep_alive_;
  framing.is_stream = is_stream;
  if (!is_stream) framing.content_length = out_body_.size();
  out_head_ += render_response_head(head, framing, request_id_);
  is_body_sent_ = !is_head_only_ && !is_bodyless(head.status);
  if (!is_body_sent_) out_body_.clear();
}

void Connection::pump() {
  ExchangeState::Output output = exchange_->take(out_body_);
  if (output.is_stream && is_input_ended_ && !output.is_ended) return close();
  // A stream that was dropped keeps what it wrote, but gets no end, so that it never looks whole.
  if (output.is_aborted) keep_alive_ = false;
  stream_size_ = out_body_.size();
  is_answer_complete_ = output.is_ended;
  if (output.head) {
    is_stream_begun_ = output.is_stream;
    if (!output.is_stream) out_body_ = std::move(output.head->body);
    write_head(*output.head, output.is_stream);
  }
  if (!is_body_sent_) {
    out_body_.clear();
  } else if (is_chunked_) {
    frame_chunk(is_answer_complete_ && !output.is_aborted);
  }
  if (!out_head_.empty() || !out_body_.empty() || !out_tail_.empty()) return write();
  if (stream_size_ > 0) exchange_->sent(std::exchange(stream_size_, 0));
  if (is_answer_complete_) finish_answer();
}

void Connection::frame_chunk(bool is_last) {
  if (!out_body_.empty()) {
    append_hex(out_head_, out_body_.size());
    out_head_ += "\r\n";
    out_tail_ = is_last ? kChunkEndAndLast : kChunkEnd;
  } else if (is_last) {
    out_tail_ = kLastChunk;
  }
}

void Connection::write() {
  is_writing_ = true;
  write_deadline_ = now() + host_.options().write_stall_timeout;
  const std::array<asio::const_buffer, 3> buffers = {
      asio::buffer(out_head_),
      asio::buffer(out_body_),
      asio::buffer(out_tail_.data(), out_tail_.size())};
  // Called after each partial write: progress moves the stall deadline.
  const auto progress = [this](const boost::system::error_code& error, std::size_t) {
    if (error) return std::size_t{0};
    write_deadline_ = now() + host_.options().write_stall_timeout;
    return std::size_t{64 * 1024};
  };
  asio::async_write(socket_,
                    buffers,
                    progress,
                    [self = shared_from_this()](const boost::system::error_code& error,
                                                std::size_t) { self->on_written(error); });
}

void Connection::on_written(const boost::system::error_code& error) {
  is_writing_ = false;
  write_deadline_ = kNever;
  if (is_closed_) return;
  if (error) {
    if (exchange_) leave_exchange(true);
    return close();
  }
  out_head_.clear();
  out_body_.clear();
  out_tail_ = {};
  if (local_answer_) return write_local_answer();
  if (exchange_) {
    if (stream_size_ > 0) exchange_->sent(std::exchange(stream_size_, 0));
    if (!is_answer_complete_) return pump();
  }
  if (is_answer_complete_) finish_answer();
}

void Connection::finish_answer() {
  record_answer();
  is_answer_written_ = true;
  if (exchange_) {
    exchange_->detach();
    exchange_.reset();
    host_.exchange_ended();
  }
  if (is_body_done_) return next_request();
  if (!keep_alive_) linger();
}

void Connection::next_request() {
  if (!keep_alive_) return linger();
  phase_ = Phase::kHead;
  parser_.emplace();
  has_head_begun_ = false;
  is_head_only_ = is_refused_ = is_stream_begun_ = is_chunked_ = false;
  is_answer_complete_ = is_answer_written_ = was_leave_counted_ = false;
  read_deadline_ = now() + host_.options().keep_alive_timeout;
  advance();
  if (is_closed_) return;
  if (phase_ == Phase::kHead && (is_input_ended_ || (host_.is_stopping() && !has_head_begun_))) {
    return close();
  }
  read();
}

void Connection::linger() {
  const bool is_input_complete = is_body_done_ && unread().empty();
  if (is_input_ended_ || is_input_complete) return close();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  phase_ = Phase::kLinger;
  in_begin_ = in_end_ = 0;
  read_deadline_ = now() + kLingerTimeout;
  read();
}

void Connection::record_answer() {
  using Class = observe::ServerMetrics::responses_label;
  const Class status_class = status_ < 400   ? Class::s2xx
                             : status_ < 500 ? Class::s4xx
                                             : Class::s5xx;
  const double seconds = to_seconds(now() - began_at_);
  host_.metrics().responses[static_cast<std::size_t>(status_class)].add();
  host_.metrics().request_duration.observe(seconds);
  log::debug("http", str(log_line_, " ", status_, " ", seconds * 1e3, " ms ", request_id_));
}

// Leaving -------------------------------------------------------------------------------------

void Connection::leave_exchange(bool has_client_left) {
  if (has_client_left && !was_leave_counted_) {
    was_leave_counted_ = true;
    host_.metrics().client_disconnects.add();
  }
  if (UniqueFunction<void()> callback = exchange_->client_left()) callback();
}

void Connection::close() {
  if (is_closed_) return;
  is_closed_ = true;
  const std::shared_ptr<Connection> self = shared_from_this();
  if (const auto websocket = std::exchange(websocket_, nullptr)) websocket->abort();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (exchange_) {
    if (UniqueFunction<void()> callback = exchange_->detach()) callback();
    exchange_.reset();
    host_.exchange_ended();
  }
  host_.closed(*this);
}

void Connection::stop() {
  if (websocket_ != nullptr) return websocket_->stop();
  if (phase_ == Phase::kHead && !has_head_begun_) close();
}

// Why not the bytes that the kernel took from us: its send buffer holds megabytes and takes more
// only when a third of it is free, which a slow but honest reader may need minutes for.
bool Connection::has_client_read() {
  int unacknowledged = 0;
  if (::ioctl(socket_.native_handle(), SIOCOUTQ, &unacknowledged) != 0) return false;
  return unacknowledged < std::exchange(unacknowledged_, unacknowledged);
}

bool Connection::has_hung_up() {
  pollfd descriptor{socket_.native_handle(), POLLRDHUP, 0};
  return ::poll(&descriptor, 1, 0) > 0 &&
         (descriptor.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Connection::check_deadlines(TimePoint at) {
  if (is_closed_) return;
  if (websocket_ != nullptr) return websocket_->check_deadlines(at);
  if (is_writing_ && has_client_read()) write_deadline_ = at + host_.options().write_stall_timeout;
  if (at >= write_deadline_) return exchange_ ? cancel_slow_reader() : close();
  if (at >= read_deadline_) {
    const bool has_answer = is_refused_ || phase_ == Phase::kLinger;
    const bool is_idle = phase_ == Phase::kHead && !has_head_begun_;
    if (has_answer || is_idle) return close();
    if (phase_ == Phase::kHead) {
      request_id_ = make_request_id();
      log_line_ = "-";
      is_body_done_ = false;
    }
    return refuse_body({408,
                        phase_ == Phase::kHead ? "the request head did not arrive in time"
                                               : "the request body did not arrive in time"});
  }
  // A client that sent more than we keep is not being read, so its end shows only here.
  if (phase_ == Phase::kService && !is_reading_ && !is_input_ended_ && has_hung_up()) {
    on_input_end(false);
  }
}

}  // namespace inferneo::gateway::http
