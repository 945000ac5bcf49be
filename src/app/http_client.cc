#include "app/http_client.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/error_text.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

// Far above any answer of the management API.
constexpr std::size_t kAnswerSizeMax = 256 * 1024 * 1024;
constexpr std::chrono::seconds kConnectTimeout{3};

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

std::string shown(const ServerAddress& server) {
  const bool is_v6 = server.host.find(':') != std::string::npos;
  return str(is_v6 ? "[" : "", server.host, is_v6 ? "]" : "", ":", server.port);
}

Status unreachable(const ServerAddress& server, std::string_view why) {
  return unavailable(str("no server answers at ", shown(server), " (", why, ")"))
      .with_hint("start one with `inferneo serve`, or name another with --address");
}

void set_timeout(int fd, std::chrono::seconds timeout) {
  const timeval value{.tv_sec = timeout.count(), .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));
}

Result<int> connect_to(const ServerAddress& server) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(server.host.c_str(), str(server.port).c_str(), &hints, &found);
  if (code != 0) return unreachable(server, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  int error = ECONNREFUSED;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int fd =
        ::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0) continue;
    set_timeout(fd, kConnectTimeout);
    if (::connect(fd, address->ai_addr, address->ai_addrlen) == 0) return fd;
    error = errno;
    ::close(fd);
  }
  return unreachable(server, error_text(error));
}

Status send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return unavailable(str("the connection broke: ", error_text(errno)));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return ok_status();
}

Result<std::string> receive_all(int fd) {
  std::string bytes;
  char chunk[16384];
  for (;;) {
    const ssize_t size = ::recv(fd, chunk, sizeof(chunk), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return deadline_exceeded("the server took too long to answer");
    }
    if (size < 0) return unavailable(str("the connection broke: ", error_text(errno)));
    if (size == 0) return bytes;
    bytes.append(chunk, static_cast<std::size_t>(size));
    if (bytes.size() > kAnswerSizeMax) return corrupt_data("the answer is too large");
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

Status no_http() { return corrupt_data("what answered there is no HTTP server"); }

// Spec: RFC 9112 section 7.1.
Result<std::string> without_chunks(std::string_view body) {
  std::string out;
  for (;;) {
    const std::size_t line_end = body.find("\r\n");
    if (line_end == std::string_view::npos) return no_http();
    std::size_t size = 0;
    const auto parsed = std::from_chars(body.data(), body.data() + line_end, size, 16);
    if (parsed.ec != std::errc() || size > body.size() - line_end - 2) return no_http();
    if (size == 0) return out;
    out += body.substr(line_end + 2, size);
    body.remove_prefix(std::min(body.size(), line_end + 2 + size + 2));
  }
}

// The server closes after the answer, so all of it is there.
Result<HttpAnswer> parse_answer(const std::string& bytes) {
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.") || bytes.size() < 12 || head_end == std::string::npos) {
    return no_http();
  }
  HttpAnswer answer;
  std::from_chars(bytes.data() + 9, bytes.data() + 12, answer.status);
  const std::string head = lower(std::string_view(bytes).substr(0, head_end + 2));
  answer.body = bytes.substr(head_end + 4);
  if (head.find("\r\ntransfer-encoding: chunked\r\n") != std::string::npos) {
    ASSIGN_OR_RETURN(answer.body, without_chunks(answer.body));
    return answer;
  }
  constexpr std::string_view kLength = "\r\ncontent-length: ";
  const std::size_t at = head.find(kLength);
  std::size_t length = answer.body.size();
  if (at != std::string::npos) {
    std::from_chars(head.data() + at + kLength.size(), head.data() + head.size(), length);
  }
  if (answer.body.size() < length) return unavailable("the connection broke within the answer");
  answer.body.resize(length);
  return answer;
}

}  // namespace

Result<ServerAddress> parse_address(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = text;
  if (rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  ServerAddress server;
  server.port = 80;
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    server.host = rest.substr(1, end == std::string_view::npos ? end : end - 1);
    if (end != std::string_view::npos && rest.substr(end + 1).starts_with(':')) {
      port = rest.substr(end + 2);
    }
  } else {
    const std::size_t colon = rest.find(':');
    server.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  bool port_fits = true;
  if (!port.empty()) {
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), server.port);
    port_fits = parsed.ec == std::errc() && parsed.ptr == port.data() + port.size();
  }
  if (!server.host.empty() && port_fits && server.host.find('/') == std::string::npos) {
    return server;
  }
  return invalid_argument(str("'", printable(text), "' is no address of a server"))
      .with_hint("write http://HOST:PORT; TLS is for a proxy in front of the server");
}

Result<HttpAnswer> http_request(const ServerAddress& server,
                                std::string_view method,
                                std::string_view target,
                                std::string_view json_body,
                                std::chrono::seconds timeout) {
  ASSIGN_OR_RETURN(const int fd, connect_to(server));
  const Socket socket(fd);
  set_timeout(fd, timeout);
  std::string request =
      str(method, " ", target, " HTTP/1.1\r\nHost: ", shown(server), "\r\nConnection: close\r\n");
  if (!json_body.empty()) {
    request += str("Content-Type: application/json\r\nContent-Length: ", json_body.size(), "\r\n");
  }
  request += str("\r\n", json_body);
  RETURN_IF_ERROR(send_all(fd, request));
  ASSIGN_OR_RETURN(const std::string bytes, receive_all(fd));
  return parse_answer(bytes);
}

}  // namespace inferneo::app
