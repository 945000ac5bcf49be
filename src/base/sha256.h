// SHA-256, for the digests of model files. Not for secrets: its time may depend on nothing but the
// length, but nobody has checked the machine code for that.
// Thread: one owner. Spec: FIPS 180-4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace inferneo {

class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // Ends the message; 64 lower-case hexadecimal digits. Once.
  [[nodiscard]] std::string hex_digest();

 private:
  void compress(const std::byte* block);

  std::array<std::uint32_t, 8> state_;
  std::array<std::byte, 64> pending_{};
  std::size_t pending_size_ = 0;
  std::uint64_t size_ = 0;
};

std::string sha256_hex(std::string_view text);

}  // namespace inferneo
