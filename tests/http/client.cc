#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/str.h"

namespace inferneo::http_test {

std::string_view Reply::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return {};
}

Client::Client(std::uint16_t port, int receive_buffer_size) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  if (receive_buffer_size > 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_size, sizeof(receive_buffer_size));
  }
  const int no_delay = 1;  // otherwise two small sends wait for a delayed acknowledgement
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) close();
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Client::shutdown_send() { ::shutdown(fd_, SHUT_WR); }

void Client::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Client::reset() {
  const linger abort{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  close();
}

bool Client::fill() {
  if (is_at_end_ || fd_ < 0) return false;
  pollfd descriptor{fd_, POLLIN, 0};
  if (::poll(&descriptor, 1, static_cast<int>(timeout.count())) <= 0) return false;
  char bytes[65536];
  const ssize_t size = ::recv(fd_, bytes, sizeof(bytes), 0);
  if (size <= 0) {
    is_at_end_ = true;
    return false;
  }
  buffer_.append(bytes, static_cast<std::size_t>(size));
  return true;
}

std::string Client::read_some() {
  if (buffer_.empty()) fill();
  return std::exchange(buffer_, {});
}

bool Client::is_ended_by_peer() {
  while (buffer_.empty() && fill()) {
  }
  return buffer_.empty() && is_at_end_;
}

std::optional<std::string> Client::read_line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

bool Client::read_exactly(std::size_t size, std::string& out) {
  while (buffer_.size() < size) {
    if (!fill()) {
      out += std::exchange(buffer_, {});
      return false;
    }
  }
  out.append(buffer_, 0, size);
  buffer_.erase(0, size);
  return true;
}

std::optional<Reply> Client::read_head() {
  const auto status_line = read_line();
  if (!status_line || status_line->size() < 12) return std::nullopt;
  Reply reply;
  reply.status = std::atoi(status_line->c_str() + 9);
  for (;;) {
    const auto line = read_line();
    if (!line) return std::nullopt;
    if (line->empty()) return reply;
    const std::size_t colon = line->find(':');
    if (colon == std::string::npos) return std::nullopt;
    std::string name = line->substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    const std::size_t value = line->find_first_not_of(' ', colon + 1);
    reply.headers.emplace_back(name, value == std::string::npos ? "" : line->substr(value));
  }
}

void Client::read_chunks(Reply& reply) {
  for (;;) {
    const auto line = read_line();
    if (!line) return;
    const std::size_t size = std::strtoul(line->c_str(), nullptr, 16);
    if (!read_exactly(size, reply.body)) return;
    const auto end = read_line();
    if (!end || !end->empty()) return;
    if (size == 0) {
      reply.is_complete = true;
      return;
    }
    ++reply.chunk_count;
  }
}

std::optional<Reply> Client::read_reply(bool is_head) {
  auto reply = read_head();
  if (!reply) return reply;
  const std::string_view length = reply->header("content-length");
  if (is_head || reply->status < 200 || reply->status == 204) {
    reply->is_complete = true;
  } else if (reply->header("transfer-encoding") == "chunked") {
    read_chunks(*reply);
  } else if (!length.empty()) {
    reply->is_complete =
        read_exactly(std::strtoul(std::string(length).c_str(), nullptr, 10), reply->body);
  } else {
    while (fill()) {
    }
    reply->body = std::exchange(buffer_, {});
    reply->is_complete = is_at_end_;
  }
  return reply;
}

std::string get(std::string_view path, std::string_view more_fields) {
  return str("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n", more_fields, "\r\n");
}

std::string post(std::string_view path, std::string_view body) {
  return str("POST ",
             path,
             " HTTP/1.1\r\nHost: localhost\r\nContent-Length: ",
             body.size(),
             "\r\n\r\n",
             body);
}

}  // namespace inferneo::http_test
