// An exchange without a connection: the endpoints answer a request that the server itself makes.
// Thread: any. Ownership: whoever may still answer holds it.
#pragma once

#include <mutex>
#include <string>
#include <utility>

#include "gateway/http/server.h"

namespace inferneo::gateway::endpoints::batch {

class LocalExchange final : public http::Exchange {
 public:
  using Done = UniqueFunction<void(http::Response)>;

  // `done` is called once, on the thread that answers: with the answer (a stream is collected), 499
  // after cancel(), or 500 when the last holder lets go without an answer.
  LocalExchange(http::Request request, Done done)
      : request_(std::move(request)), done_(std::move(done)) {}
  ~LocalExchange() override { finish(http::http_error(500, "the request was not answered")); }

  [[nodiscard]] const http::Request& request() const override { return request_; }
  void respond(http::Response response) override { finish(std::move(response)); }
  void start_stream(http::Response head) override {
    const std::lock_guard lock(mutex_);
    stream_ = std::move(head);
    stream_.body.clear();
  }
  bool write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    if (finished_) return false;
    stream_.body += bytes;
    return true;
  }
  void end_stream() override {
    http::Response response;
    {
      const std::lock_guard lock(mutex_);
      response = std::move(stream_);
    }
    finish(std::move(response));
  }
  void on_disconnect(UniqueFunction<void()> callback) override {
    {
      const std::lock_guard lock(mutex_);
      if (!cancelled_) {
        disconnected_ = std::move(callback);
        return;
      }
    }
    callback();
  }

  // As a client that leaves.
  void cancel() {
    UniqueFunction<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      if (finished_ || cancelled_) return;
      cancelled_ = true;
      callback = std::move(disconnected_);
    }
    if (callback) callback();
    finish(http::http_error(499, "the request was cancelled"));
  }

 private:
  void finish(http::Response response) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(finished_, true)) return;
    }
    done_(std::move(response));
  }

  const http::Request request_;
  std::mutex mutex_;
  Done done_;
  UniqueFunction<void()> disconnected_;
  http::Response stream_;
  bool finished_ = false;
  bool cancelled_ = false;
};

}  // namespace inferneo::gateway::endpoints::batch
