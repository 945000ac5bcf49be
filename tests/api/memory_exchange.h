// An exchange without sockets: what a handler sends is kept for the test to look at.
// Thread: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/server.h"

namespace inferneo::api_test {

class MemoryExchange final : public gateway::http::Exchange {
 public:
  explicit MemoryExchange(gateway::http::Request request) : request_(std::move(request)) {}

  const gateway::http::Request& request() const override { return request_; }

  void respond(gateway::http::Response response) override {
    const std::lock_guard lock(mutex_);
    if (answered_) misuse_ = "answered twice";
    answered_ = true;
    done_ = true;
    response_ = std::move(response);
    changed_.notify_all();
  }
  void start_stream(gateway::http::Response head) override {
    const std::lock_guard lock(mutex_);
    if (answered_) misuse_ = "answered twice";
    answered_ = true;
    is_stream_ = true;
    response_ = std::move(head);
    changed_.notify_all();
  }
  bool write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    if (!is_stream_ || done_) misuse_ = "write outside a stream";
    if (bytes.empty()) misuse_ = "empty write";
    ++write_count_;
    if (refuse_writes_) return false;
    response_.body += bytes;
    changed_.notify_all();
    return true;
  }
  std::size_t waiting_size() const override {
    const std::lock_guard lock(mutex_);
    return waiting_size_;
  }
  void end_stream() override {
    const std::lock_guard lock(mutex_);
    if (!is_stream_ || done_) misuse_ = "end outside a stream";
    done_ = true;
    changed_.notify_all();
  }
  void on_disconnect(UniqueFunction<void()> callback) override {
    std::unique_lock lock(mutex_);
    if (callback_ && callback) misuse_ = "two callbacks";
    if (!gone_) {
      callback_ = std::move(callback);
      return;
    }
    lock.unlock();
    if (callback) callback();
  }

  // The client's side.
  void disconnect() {
    UniqueFunction<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      callback = std::move(callback_);
    }
    if (callback) callback();
  }
  void set_waiting_size(std::size_t size) {
    const std::lock_guard lock(mutex_);
    waiting_size_ = size;
  }
  void refuse_writes() {
    const std::lock_guard lock(mutex_);
    refuse_writes_ = true;
  }
  // Waits for the end of the answer; false when it does not come.
  bool wait() {
    return wait_until([this] { return done_; });
  }
  bool wait_for_text(std::string_view text) {
    return wait_until([&] { return response_.body.find(text) != std::string::npos; });
  }

  gateway::http::Response response() {
    const std::lock_guard lock(mutex_);
    return response_;
  }
  bool is_stream() {
    const std::lock_guard lock(mutex_);
    return is_stream_;
  }
  bool is_done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  int write_count() {
    const std::lock_guard lock(mutex_);
    return write_count_;
  }
  std::string misuse() {
    const std::lock_guard lock(mutex_);
    return misuse_;
  }

 private:
  template <typename Condition>
  bool wait_until(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), condition);
  }

  const gateway::http::Request request_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  gateway::http::Response response_;
  UniqueFunction<void()> callback_;
  bool answered_ = false;
  bool is_stream_ = false;
  bool done_ = false;
  bool gone_ = false;
  bool refuse_writes_ = false;
  std::size_t waiting_size_ = 0;
  int write_count_ = 0;
  std::string misuse_;
};

}  // namespace inferneo::api_test
