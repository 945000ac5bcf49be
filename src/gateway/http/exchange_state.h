// The meeting point of a connection (network thread) and the handler that answers (any thread): a
// small state machine under one mutex. The handler puts an answer in and never waits; the
// connection is woken, takes what is there and writes it.
// Ownership: shared by both sides; the connection leaves by detach(), after which nothing here
// refers to it and the handler's calls have no effect.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_function.h"
#include "gateway/http/body_budget.h"
#include "gateway/http/message.h"
#include "gateway/http/server.h"

namespace inferneo::gateway::http {

// The connection as handlers see it.
class Wakeable {
 public:
  virtual ~Wakeable() = default;
  // Asks for a later take() on the network thread. Must not block. Thread: any.
  virtual void wake() = 0;
  // Runs `task` on a front thread. Must not block. Thread: any.
  virtual void resume(UniqueFunction<void()> task) = 0;
};

class ExchangeState {
 public:
  // `connection` must stay until detach().
  // `body` is what the request's body has taken of the budget, kept as long as the request.
  ExchangeState(Request request,
                Wakeable& connection,
                std::size_t buffer_size_max,
                BodyReservation body = {});

  // The handler's side. Thread: any.
  [[nodiscard]] const Request& request() const { return request_; }
  void respond(Response response);
  void start_stream(Response head);
  bool write(std::string_view bytes);
  [[nodiscard]] std::size_t waiting_size();
  void end_stream();
  void on_disconnect(UniqueFunction<void()> callback);
  void resume(UniqueFunction<void()> task);
  bool begin_events();
  // Nobody can answer any more: 500 when nothing was sent, a cut connection within a stream.
  void abandon();

  // The connection's side. Thread: io.
  struct Output {
    std::optional<Response> head;  // given once; of a stream its body is empty
    bool is_stream = false;
    bool is_ended = false;    // nothing follows
    bool is_aborted = false;  // the stream was dropped before its end
  };
  // Moves what is ready; stream bytes are swapped with `stream_bytes`, which must be empty.
  Output take(std::string& stream_bytes);
  // More waited for the client than allowed: the stream is over.
  bool is_slow();
  // `size` taken stream bytes have reached the socket.
  void sent(std::size_t size);
  // The client has closed its side: streams end, a single answer may still be sent. Returns the
  // callback to run, if one is due.
  UniqueFunction<void()> client_left();
  // The connection is gone or the answer is complete. Returns the callback to run, if one is due.
  UniqueFunction<void()> detach();

 private:
  enum class Stage { kWaiting, kResponded, kStreaming, kEnded };

  void wake_locked();
  [[nodiscard]] bool is_answered() const {
    return stage_ == Stage::kResponded || stage_ == Stage::kEnded;
  }
  UniqueFunction<void()> due_callback_locked();

  const BodyReservation body_;
  const Request request_;
  const std::size_t buffer_size_max_;
  std::mutex mutex_;
  Wakeable* connection_;
  Stage stage_ = Stage::kWaiting;
  bool is_early_ = false;  // streaming, but the handler has not said so yet
  bool has_left_ = false;
  bool is_aborted_ = false;
  bool is_slow_ = false;
  bool is_wake_pending_ = false;
  std::optional<Response> head_;
  std::string stream_bytes_;
  std::size_t unsent_ = 0;  // taken by the connection, not yet in the socket
  UniqueFunction<void()> callback_;
};

// The handler's handle; its end without an answer abandons the exchange.
std::shared_ptr<Exchange> make_exchange(std::shared_ptr<ExchangeState> state);

}  // namespace inferneo::gateway::http
