#include "app/webhook_sender.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "base/str.h"
#include "gateway/http/listen_anywhere.h"

namespace inferneo::app {
namespace {

using std::chrono::milliseconds;

// Answers one request after another with the next status of a list, 204 at its end.
class Receiver {
 public:
  explicit Receiver(std::deque<int> statuses) : statuses_(std::move(statuses)) {
    int port = 0;
    listener_ = gateway::http::listen_anywhere(port);
    url = str("http://127.0.0.1:", port, "/hook");
    thread_ = std::thread([this] { serve(); });
  }
  ~Receiver() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string url;
  std::atomic<int> request_count{0};

 private:
  void serve() {
    for (;;) {
      const int peer = ::accept(listener_, nullptr, nullptr);
      if (peer < 0) return;
      char bytes[2048];
      std::string request;
      while (request.find("{}") == std::string::npos) {
        const ssize_t size = ::recv(peer, bytes, sizeof(bytes), 0);
        if (size <= 0) break;
        request.append(bytes, static_cast<std::size_t>(size));
      }
      ++request_count;
      int status = 204;
      if (!statuses_.empty()) {
        status = statuses_.front();
        statuses_.pop_front();
      }
      const std::string answer = str("HTTP/1.1 ", status, " x\r\nContent-Length: 0\r\n\r\n");
      ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(peer);
    }
  }

  std::deque<int> statuses_;
  int listener_ = -1;
  std::thread thread_;
};

Status wait_for(WebhookSender& sender, std::uint64_t call) {
  for (int i = 0; i < 10'000; ++i) {
    if (auto outcome = sender.outcome(call)) return *outcome;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return deadline_exceeded("no outcome in the test's time");
}

WebhookSender::Options quick() {
  return {.timeout = milliseconds(10'000), .try_count = 3, .retry_delay = milliseconds(1)};
}

TEST(WebhookSender, faults_of_the_receiver_are_tried_again_and_refusals_are_not) {
  WebhookSender sender(quick());
  {
    Receiver receiver({500, 503});
    EXPECT_TRUE(wait_for(sender, sender.post(receiver.url, "{}")).ok());
    EXPECT_EQ(receiver.request_count, 3);
  }
  {
    Receiver receiver({500, 500, 500, 500});
    const Status status = wait_for(sender, sender.post(receiver.url, "{}"));
    EXPECT_EQ(status.message(), "answered 500");
    EXPECT_EQ(receiver.request_count, 3);
  }
  {
    Receiver receiver({403});
    EXPECT_EQ(wait_for(sender, sender.post(receiver.url, "{}")).message(), "answered 403");
    EXPECT_EQ(receiver.request_count, 1);
  }
}

TEST(WebhookSender, an_outcome_is_given_once_and_nobody_listening_is_a_failure) {
  WebhookSender sender(quick());
  std::string url;
  {
    Receiver gone({});
    url = gone.url;
  }
  const std::uint64_t call = sender.post(url, "{}");
  EXPECT_EQ(wait_for(sender, call).code(), StatusCode::kUnavailable);
  EXPECT_FALSE(sender.outcome(call).has_value());
  EXPECT_FALSE(sender.outcome(call + 100).has_value());
}

TEST(WebhookSender, too_many_that_wait_fail_at_once) {
  WebhookSender::Options options = quick();
  options.waiting_count_max = 2;
  WebhookSender sender(options);
  // Nobody accepts: a listening socket without a server keeps the first call waiting.
  int port = 0;
  const int silent = gateway::http::listen_anywhere(port);
  const std::string url = str("http://127.0.0.1:", port, "/");
  int refused = 0;
  for (int i = 0; i < 6; ++i) {
    const auto outcome = sender.outcome(sender.post(url, "{}"));
    if (outcome && outcome->code() == StatusCode::kResourceExhausted) ++refused;
  }
  EXPECT_GE(refused, 3);
  ::close(silent);
}

}  // namespace
}  // namespace inferneo::app
