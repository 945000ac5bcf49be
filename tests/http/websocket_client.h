// Frames of RFC 6455 made by hand, wrong ones too, and a client that reads what comes back.
// Thread: the test's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client.h"

namespace inferneo::http_test {

enum Opcode : unsigned {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

struct Frame {
  unsigned opcode = kText;
  std::string payload = {};
  bool fin = true;
  unsigned rsv = 0;  // three bits
  bool masked = true;
  // 0: the shortest form; 16, 64: that many bits of length, whatever the payload needs.
  int length_bits = 0;
  // What the length says instead of the payload's size.
  std::optional<std::uint64_t> claimed_size = std::nullopt;
};

std::string encode(const Frame& frame);
std::string text_frame(std::string_view payload);
std::string close_frame(unsigned code, std::string_view reason = {});

// The request of a handshake; `more` are further header lines.
std::string handshake(std::string_view path, std::string_view more = {});

// What a peer sent: a whole frame, or the end of the connection.
struct Received {
  bool ended = false;
  unsigned opcode = 0;
  bool fin = true;
  std::string payload;
  [[nodiscard]] unsigned close_code() const;  // 0 when there is none
};

class WebSocketClient {
 public:
  explicit WebSocketClient(std::uint16_t port, int receive_buffer_size = 0)
      : client(port, receive_buffer_size) {}
  // False, with `reply` set, when the server did not switch protocols.
  bool open(std::string_view path, std::string_view more = {});
  bool send(std::string_view bytes) { return client.send(bytes); }
  // The next frame. A masked frame, or one with reserved bits, counts as the end: servers never
  // send these.
  Received receive();
  // The next text message; nothing at the end, or when a close frame comes. Answers pings.
  std::optional<std::string> receive_text();

  Client client;
  std::optional<Reply> reply;

 private:
  bool fill(std::size_t size);
  std::string buffer_;
};

}  // namespace inferneo::http_test
