#include "websocket_client.h"

#include <array>

#include "base/str.h"

namespace inferneo::http_test {
namespace {

constexpr std::array<char, 4> kMask{'\x37', '\x00', '\xfa', '\x21'};

void append_number(std::string& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) {
    out += static_cast<char>(static_cast<unsigned char>((value >> (8 * i)) & 255U));
  }
}

}  // namespace

std::string encode(const Frame& frame) {
  std::string out;
  out += static_cast<char>(
      static_cast<unsigned char>((frame.fin ? 128U : 0U) | (frame.rsv << 4U) | frame.opcode));
  const std::uint64_t size = frame.claimed_size.value_or(frame.payload.size());
  const unsigned mask_bit = frame.masked ? 128U : 0U;
  const int bits = frame.length_bits != 0 ? frame.length_bits
                   : size < 126           ? 7
                   : size < 65536         ? 16
                                          : 64;
  if (bits == 7) {
    out += static_cast<char>(static_cast<unsigned char>(mask_bit | size));
  } else {
    out += static_cast<char>(static_cast<unsigned char>(mask_bit | (bits == 16 ? 126U : 127U)));
    append_number(out, size, bits / 8);
  }
  if (!frame.masked) return out + frame.payload;
  out.append(kMask.data(), kMask.size());
  for (std::size_t i = 0; i < frame.payload.size(); ++i) {
    out += static_cast<char>(frame.payload[i] ^ kMask[i % 4]);
  }
  return out;
}

std::string text_frame(std::string_view payload) {
  return encode({.opcode = kText, .payload = std::string(payload)});
}

std::string close_frame(unsigned code, std::string_view reason) {
  std::string payload;
  append_number(payload, code, 2);
  payload += reason;
  return encode({.opcode = kClose, .payload = payload});
}

std::string handshake(std::string_view path, std::string_view more) {
  return str("GET ",
             path,
             " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
             more,
             "\r\n");
}

unsigned Received::close_code() const {
  if (opcode != kClose || payload.size() < 2) return 0;
  return static_cast<unsigned>(static_cast<unsigned char>(payload[0])) * 256U +
         static_cast<unsigned char>(payload[1]);
}

bool WebSocketClient::open(std::string_view path, std::string_view more) {
  if (!client.send(handshake(path, more))) return false;
  reply = client.read_head();
  return reply && reply->status == 101;
}

bool WebSocketClient::fill(std::size_t size) {
  while (buffer_.size() < size) {
    const std::string more = client.read_some();
    if (more.empty()) return false;
    buffer_ += more;
  }
  return true;
}

Received WebSocketClient::receive() {
  Received received;
  received.ended = true;
  if (!fill(2)) return received;
  const auto first = static_cast<unsigned char>(buffer_[0]);
  const auto second = static_cast<unsigned char>(buffer_[1]);
  if ((first & 0x70U) != 0 || (second & 0x80U) != 0) return received;
  std::size_t header = 2;
  std::uint64_t size = second;
  if (size >= 126) {
    const std::size_t bytes = size == 126 ? 2 : 8;
    if (!fill(header + bytes)) return received;
    size = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      size = size * 256 + static_cast<unsigned char>(buffer_[header + i]);
    }
    header += bytes;
  }
  if (!fill(header + size)) return received;
  received.ended = false;
  received.fin = (first & 128U) != 0;
  received.opcode = first & 15U;
  received.payload = buffer_.substr(header, size);
  buffer_.erase(0, header + size);
  return received;
}

std::optional<std::string> WebSocketClient::receive_text() {
  while (true) {
    Received received = receive();
    if (received.ended || received.opcode == kClose) return std::nullopt;
    if (received.opcode == kPing) {
      send(encode({.opcode = kPong, .payload = received.payload}));
      continue;
    }
    if (received.opcode == kText) return std::move(received.payload);
  }
}

}  // namespace inferneo::http_test
