#include "gateway/http/post.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/str.h"
#include "gateway/http/socket_wait.h"
#include "gateway/http/tls_client.h"

namespace inferneo::gateway::http {
namespace {

using SteadyTime = std::chrono::steady_clock;

// "HTTP/1.1 200", the part of the answer that counts.
constexpr std::size_t kStatusSize = 12;

class Socket {
 public:
  Socket(int family, int type, int protocol)
      : fd_(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

Status connect_to(int fd, const addrinfo& address, SteadyTime::time_point deadline) {
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return ok_status();
  if (errno != EINPROGRESS) return unavailable(error_text(errno));
  RETURN_IF_ERROR(wait_for_socket(fd, POLLOUT, deadline));
  int failure = 0;
  socklen_t size = sizeof(failure);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) failure = errno;
  return failure == 0 ? ok_status() : unavailable(error_text(failure));
}

// A connection, plain or over TLS.
class Stream {
 public:
  static Result<Stream> open(int fd, const HttpUrl& url, SteadyTime::time_point deadline) {
    Stream stream(fd, deadline);
    if (url.is_secure) {
      ASSIGN_OR_RETURN(stream.tls_, TlsClient::connect(fd, url.host, deadline));
    }
    return stream;
  }

  Status send(std::string_view bytes) {
    if (tls_ != nullptr) return tls_->send(bytes, deadline_);
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        RETURN_IF_ERROR(wait_for_socket(fd_, POLLOUT, deadline_));
      } else if (errno != EINTR) {
        return unavailable(error_text(errno));
      }
    }
    return ok_status();
  }

  // 0 at the end.
  Result<std::size_t> receive(std::span<char> bytes) {
    if (tls_ != nullptr) return tls_->receive(bytes, deadline_);
    for (;;) {
      const ssize_t size = ::recv(fd_, bytes.data(), bytes.size(), 0);
      if (size >= 0) return static_cast<std::size_t>(size);
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        RETURN_IF_ERROR(wait_for_socket(fd_, POLLIN, deadline_));
      } else if (errno != EINTR) {
        return unavailable(error_text(errno));
      }
    }
  }

 private:
  Stream(int fd, SteadyTime::time_point deadline) : fd_(fd), deadline_(deadline) {}

  int fd_;
  SteadyTime::time_point deadline_;
  std::unique_ptr<TlsClient> tls_;  // null: plain
};

Result<int> read_status(Stream& stream) {
  std::string head;
  std::array<char, 256> bytes{};
  while (head.size() < kStatusSize) {
    ASSIGN_OR_RETURN(const std::size_t size, stream.receive(bytes));
    if (size == 0) return unavailable("the connection was closed without an answer");
    head.append(bytes.data(), size);
  }
  const std::string_view digits = std::string_view(head).substr(9, 3);
  const bool is_status =
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!head.starts_with("HTTP/1.") || head[8] != ' ' || !is_status) {
    return corrupt_data("the answer is not HTTP");
  }
  return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

Result<int> exchange(const addrinfo& address,
                     const HttpUrl& url,
                     std::string_view request,
                     SteadyTime::time_point deadline) {
  const Socket socket(address.ai_family, address.ai_socktype, address.ai_protocol);
  if (socket.fd() < 0) return unavailable(error_text(errno));
  RETURN_IF_ERROR(connect_to(socket.fd(), address, deadline));
  ASSIGN_OR_RETURN(Stream stream, Stream::open(socket.fd(), url, deadline));
  RETURN_IF_ERROR(stream.send(request));
  return read_status(stream);
}

}  // namespace

// Spec: RFC 3986, 3.2; of the forms of a port and host only what HTTP uses.
Result<HttpUrl> parse_http_url(std::string_view url) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kSecure = "https://";
  const auto wrong = [&](std::string_view why) {
    return invalid_argument(str("the URL '", printable(url), "' ", why))
        .with_hint("as in http://127.0.0.1:9000/hook");
  };
  const bool is_printable =
      std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  const bool is_secure = url.starts_with(kSecure);
  if (!(is_secure || url.starts_with(kPlain)) || !is_printable) {
    return wrong("does not begin with http:// or https://");
  }
  url.remove_prefix(is_secure ? kSecure.size() : kPlain.size());
  const std::size_t end = std::min(url.find_first_of("/?#"), url.size());
  const std::string_view authority = url.substr(0, end);
  std::string_view rest = url.substr(end);
  rest = rest.substr(0, rest.find('#'));
  HttpUrl parsed;
  parsed.is_secure = is_secure;
  parsed.authority = std::string(authority);
  parsed.target = rest.starts_with('/') ? std::string(rest) : str("/", rest);
  if (authority.find('@') != std::string_view::npos) return wrong("has a user name");
  const std::size_t bracket = authority.find(']');
  const bool is_ipv6 = authority.starts_with('[') && bracket != std::string_view::npos;
  const std::size_t colon = authority.find(':', is_ipv6 ? bracket : 0);
  const std::string_view host = authority.substr(0, std::min(colon, authority.size()));
  parsed.host = std::string(is_ipv6 ? authority.substr(1, bracket - 1) : host);
  const std::string_view standard = is_secure ? "443" : "80";
  parsed.port =
      std::string(colon == std::string_view::npos ? standard : authority.substr(colon + 1));
  const bool is_port = !parsed.port.empty() && parsed.port.size() <= 5 &&
                       std::all_of(parsed.port.begin(), parsed.port.end(), [](char c) {
                         return c >= '0' && c <= '9';
                       });
  if (parsed.host.empty() || !is_port) return wrong("names no host, or a wrong port");
  return parsed;
}

Result<int> post_json(std::string_view url,
                      std::string_view body,
                      std::chrono::milliseconds timeout) {
  ASSIGN_OR_RETURN(const HttpUrl parsed, parse_http_url(url));
  const auto deadline = SteadyTime::now() + timeout;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failure = ::getaddrinfo(parsed.host.c_str(), parsed.port.c_str(), &hints, &found);
      failure != 0) {
    return unavailable(str("cannot find '", parsed.host, "': ", ::gai_strerror(failure)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  const std::string request = str("POST ",
                                  parsed.target,
                                  " HTTP/1.1\r\nHost: ",
                                  parsed.authority,
                                  "\r\nContent-Type: application/json\r\nContent-Length: ",
                                  body.size(),
                                  "\r\nConnection: close\r\n\r\n",
                                  body);
  Result<int> status = unavailable("no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    status = exchange(*address, parsed, request, deadline);
    if (status.has_value() || status.error().code() != StatusCode::kUnavailable) break;
  }
  return status;
}

}  // namespace inferneo::gateway::http
