// A blocking raw-socket client for tests: sends exact bytes, reads one response at a time.
// Thread: the owner's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inferneo::http_test {

struct Reply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // lower-case names
  std::string body;                                          // chunks joined
  bool is_complete = false;  // false when the connection ended within the body
  std::size_t chunk_count = 0;

  [[nodiscard]] std::string_view header(std::string_view name) const;
};

class Client {
 public:
  // Connects to 127.0.0.1. `receive_buffer_size` above 0 shrinks the socket's buffer, so that a
  // client that does not read is felt early.
  explicit Client(std::uint16_t port, int receive_buffer_size = 0);
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  [[nodiscard]] bool is_connected() const { return fd_ >= 0; }
  // False when the peer is gone.
  bool send(std::string_view bytes);
  void shutdown_send();
  void close();
  // Closes with a reset instead of a FIN.
  void reset();

  // The next response, or nothing when the connection ended before one began or nothing came in
  // time. A response to HEAD has no body whatever its fields say.
  std::optional<Reply> read_reply(bool is_head = false);
  // The head of the next response; the body is left unread.
  std::optional<Reply> read_head();
  // At least one more byte, or empty at the end of the connection or after the timeout.
  std::string read_some();
  // Whether the peer ends the connection in time, without a further byte.
  bool is_ended_by_peer();

  std::chrono::milliseconds timeout{10'000};

 private:
  bool fill();
  std::optional<std::string> read_line();
  bool read_exactly(std::size_t size, std::string& out);
  void read_chunks(Reply& reply);

  int fd_ = -1;
  std::string buffer_;
  bool is_at_end_ = false;
};

// "GET PATH HTTP/1.1" with a Host field.
std::string get(std::string_view path, std::string_view more_fields = {});
// The same with POST and a body of known length.
std::string post(std::string_view path, std::string_view body);

}  // namespace inferneo::http_test
