// One client connection: reads requests one after the other, hands them to the front threads, and
// writes their answers. Everything here runs on the connection's network thread, except wake().
//
// A read is always pending, also while a request is being served, so that a client that leaves is
// noticed at once; bytes of a next request that arrive early are kept, up to a bound.
// End of input (FIN) while a request is being served counts as leaving, as in Go's net/http and
// nginx, because that is all that a client that closes its socket shows: the work is cancelled and
// a stream is cut. A client that only closed its sending side still receives a single answer if
// the handler gives one.
// Ownership: kept alive by its network thread's list and by operations in progress.
#pragma once

#include "gateway/http/boost_config.h"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/body_budget.h"
#include "gateway/http/exchange_state.h"
#include "gateway/http/request_parser.h"
#include "gateway/http/server.h"
#include "gateway/http/target.h"

namespace inferneo::gateway::http {

using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

class Connection;
class WebSocketConnection;

// What connections need of their server. Outlives them.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  [[nodiscard]] virtual const ServerOptions& options() const = 0;
  [[nodiscard]] virtual const HostPolicy& host_policy() const = 0;
  virtual Dispatcher& dispatcher() = 0;
  virtual observe::ServerMetrics& metrics() = 0;
  [[nodiscard]] virtual const std::shared_ptr<BodyBudget>& body_budget() const = 0;
  [[nodiscard]] virtual bool is_stopping() const = 0;
  // Whether each connection is to end with its next answer; true while stopping, too.
  [[nodiscard]] virtual bool is_leaving() const = 0;
  // Gives the exchange to a front thread; false when their queue is full.
  virtual bool submit(std::shared_ptr<Exchange>& exchange) = 0;
  // Runs what a handler had to wait for on a front thread, ahead of new requests.
  // Bound: one for each exchange in progress.
  virtual void resume(UniqueFunction<void()> task) = 0;
  // The same for another task; takes it only on success.
  virtual bool submit_task(UniqueFunction<void()>& run) = 0;
  virtual void exchange_began() = 0;
  virtual void exchange_ended() = 0;
  // Last call of a connection. Thread: the connection's.
  virtual void closed(Connection& connection) = 0;
};

class Connection final : public std::enable_shared_from_this<Connection>, public Wakeable {
 public:
  Connection(Socket socket, std::string remote_address, int io_index, ConnectionHost& host);
  ~Connection() override;

  void start();
  // Answers 503 with `why` without reading a request, and closes.
  void start_refusing(std::string_view why);
  void check_deadlines(TimePoint now);
  // Closes when no request is in progress; otherwise after the current answer.
  void stop();
  void close();

  [[nodiscard]] const std::string& remote_address() const { return remote_address_; }
  [[nodiscard]] int io_index() const { return io_index_; }

  void wake() override;                               // Thread: any
  void resume(UniqueFunction<void()> task) override;  // Thread: any

 private:
  enum class Phase {
    kHead,     // between requests, or within a head
    kBody,     // receiving a body, which is dropped when the request was already refused
    kService,  // the body is complete or given up; the answer is awaited or being written
    kLinger,   // our side is closed; reading what the client still sends, so that the kernel does
               // not reset the connection before the client has read the answer
    kUpgrade,  // the socket is, or is about to be, the WebSocket's
  };

  void read();
  void on_read(const boost::system::error_code& error, std::size_t size);
  void on_input_end(bool is_reset);
  [[nodiscard]] std::string_view unread() const {
    return {in_.data() + in_begin_, in_end_ - in_begin_};
  }
  void make_room(std::size_t size);

  void advance();
  bool advance_head();
  bool advance_body();
  void begin_request();
  Refusal check_request(const RequestHead& head) const;
  void begin_body(std::size_t size_max);
  void refuse_body(const Refusal& refusal);
  void dispatch();
  std::optional<Response> admit_websocket(const RequestHead& head);
  void begin_websocket();

  void on_wake();
  void cancel_slow_reader();
  void answer_locally(Response response);
  void write_local_answer();
  void frame_chunk(bool is_last);
  void pump();
  void write_head(const Response& head, bool is_stream);
  void write();
  void on_written(const boost::system::error_code& error);
  void finish_answer();
  void next_request();
  void linger();
  void record_answer();
  void leave_exchange(bool has_client_left);
  [[nodiscard]] bool has_hung_up();
  [[nodiscard]] bool has_client_read();

  Socket socket_;
  const std::string remote_address_;
  const int io_index_;
  ConnectionHost& host_;

  Phase phase_ = Phase::kHead;
  bool is_closed_ = false;
  bool is_reading_ = false;
  bool is_writing_ = false;
  bool is_input_ended_ = false;

  // Input: in_[in_begin_, in_end_) is received and unread. A pending read writes behind in_end_, so
  // the vector only moves in read().
  std::vector<char> in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;

  // The current request.
  std::optional<RequestParser> parser_;
  bool has_head_begun_ = false;
  Request request_;
  BodyReservation body_reservation_;
  std::size_t body_size_max_ = 0;
  bool is_head_only_ = false;
  bool keep_alive_ = true;
  bool is_refused_ = false;  // answered without a handler; what remains of the body is dropped
  bool is_body_done_ = true;
  std::string request_id_;
  std::string log_line_;
  TimePoint began_at_{};

  // The current answer.
  std::shared_ptr<ExchangeState> exchange_;
  bool is_stream_begun_ = false;
  bool is_chunked_ = false;
  bool is_body_sent_ = true;  // false for HEAD and for statuses without a body
  std::optional<Response> local_answer_;
  bool is_answer_complete_ = false;  // all of it was taken for writing
  bool is_answer_written_ = false;
  bool was_leave_counted_ = false;
  int status_ = 0;
  std::string out_head_;
  std::string out_body_;
  std::string_view out_tail_;
  int unacknowledged_ = 0;       // bytes in the kernel when last looked at
  std::size_t stream_size_ = 0;  // of out_body_ when it came from the exchange's stream

  std::shared_ptr<WebSocketHandler> websocket_handler_;  // between admission and the handshake
  std::shared_ptr<WebSocketConnection> websocket_;

  static constexpr TimePoint kNever = TimePoint::max();
  TimePoint read_deadline_ = kNever;
  TimePoint body_deadline_ = kNever;
  TimePoint write_deadline_ = kNever;
};

}  // namespace inferneo::gateway::http
