#include "gateway/http/post.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/str.h"

namespace inferneo::gateway::http {
namespace {

using std::chrono::milliseconds;

// Listens on a free port, takes one connection, reads a request and answers with given bytes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    socklen_t size = sizeof(address);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneAnswer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string url() const { return str("http://127.0.0.1:", port_, "/hook?a=b"); }
  // After the end of post_json().
  std::string request;

 private:
  void serve() {
    const int peer = ::accept(listener_, nullptr, nullptr);
    if (peer < 0) return;
    char bytes[4096];
    while (request.find("\r\n\r\n{") == std::string::npos) {
      const ssize_t size = ::recv(peer, bytes, sizeof(bytes), 0);
      if (size <= 0) break;
      request.append(bytes, static_cast<std::size_t>(size));
    }
    if (!answer_.empty()) {
      ::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      ::close(peer);
      return;
    }
    ::recv(peer, bytes, sizeof(bytes), 0);  // until the client gives up
    ::close(peer);
  }

  std::string answer_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST(Post, the_body_arrives_and_the_status_comes_back) {
  for (const auto& [line, status] : {std::pair{"HTTP/1.1 204 No Content", 204},
                                     std::pair{"HTTP/1.0 500 Oh", 500},
                                     std::pair{"HTTP/1.1 302 Found", 302}}) {
    OneAnswer server(str(line, "\r\nContent-Length: 0\r\n\r\n"));
    const Result<int> answered = post_json(server.url(), "{\"a\":1}", milliseconds(10'000));
    ASSERT_TRUE(answered.has_value()) << answered.status().to_string();
    EXPECT_EQ(*answered, status);
    EXPECT_TRUE(server.request.starts_with("POST /hook?a=b HTTP/1.1\r\nHost: 127.0.0.1:"));
    EXPECT_NE(server.request.find("Content-Length: 7\r\n"), std::string::npos);
    EXPECT_TRUE(server.request.ends_with("\r\n\r\n{\"a\":1}"));
  }
}

TEST(Post, what_is_no_answer_is_a_failure_with_its_reason) {
  {
    OneAnswer server("SSH-2.0-OpenSSH_9\r\n");
    EXPECT_EQ(post_json(server.url(), "{}", milliseconds(10'000)).error().code(),
              StatusCode::kCorruptData);
  }
  {
    OneAnswer silent("");
    EXPECT_EQ(post_json(silent.url(), "{}", milliseconds(50)).error().code(),
              StatusCode::kDeadlineExceeded);
  }
  std::string url;
  {
    OneAnswer gone("x");
    url = gone.url();
  }
  EXPECT_EQ(post_json(url, "{}", milliseconds(10'000)).error().code(), StatusCode::kUnavailable);
}

TEST(Post, urls_are_taken_apart) {
  const auto check = [](std::string_view url, std::string_view expected) {
    const Result<HttpUrl> parsed = parse_http_url(url);
    EXPECT_EQ(parsed.has_value() ? str(parsed->host, " ", parsed->port, " ", parsed->target)
                                 : std::string("refused"),
              expected)
        << url;
  };
  check("http://localhost", "localhost 80 /");
  check("http://localhost:9/x/y?q#f", "localhost 9 /x/y?q");
  check("http://[::1]:80/", "::1 80 /");
  check("http://[::1]/a:b", "::1 80 /a:b");
  check("http://h?x=1", "h 80 /?x=1");
  for (const char* wrong : {"https://h/",
                            "h:80",
                            "http://",
                            "http://:80/",
                            "http://h:/",
                            "http://u@h/",
                            "http://h:99x/",
                            "http://h/\r\nX: y",
                            "http://h:123456/",
                            "ftp://h"}) {
    check(wrong, "refused");
  }
}

}  // namespace
}  // namespace inferneo::gateway::http
