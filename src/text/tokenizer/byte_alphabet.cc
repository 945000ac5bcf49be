#include "text/tokenizer/byte_alphabet.h"

#include <array>

#include "base/utf8.h"

namespace inferneo::text {
namespace {

constexpr char32_t kShiftedFirst = 0x100;
constexpr std::size_t kAlphabetEnd = 0x144;  // 256 + the 68 bytes without a printable character

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<std::uint16_t, 256> make_chars() {
  std::array<std::uint16_t, 256> chars{};
  std::uint16_t next = kShiftedFirst;
  for (unsigned byte = 0; byte < 256; ++byte) {
    chars[byte] = is_printable(byte) ? static_cast<std::uint16_t>(byte) : next++;
  }
  return chars;
}

constexpr std::array<std::uint16_t, 256> kChars = make_chars();

constexpr std::array<std::int16_t, kAlphabetEnd> make_bytes() {
  std::array<std::int16_t, kAlphabetEnd> bytes{};
  for (std::int16_t& byte : bytes) byte = -1;
  for (unsigned byte = 0; byte < 256; ++byte) bytes[kChars[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}

constexpr std::array<std::int16_t, kAlphabetEnd> kBytes = make_bytes();

}  // namespace

char32_t byte_to_char(std::uint8_t byte) { return kChars[byte]; }

int char_to_byte(char32_t character) { return character < kAlphabetEnd ? kBytes[character] : -1; }

std::optional<std::string> byte_level_bytes(std::string_view name) {
  std::string bytes;
  bytes.reserve(name.size());
  for (std::size_t at = 0; at < name.size();) {
    const utf8::Decoded next = utf8::decode(name, at);
    const int byte = char_to_byte(next.code_point);
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    at += next.size;
  }
  return bytes;
}

std::string fallback_name(std::uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string name = "<0x00>";
  name[3] = kDigits[byte >> 4];
  name[4] = kDigits[byte & 15];
  return name;
}

}  // namespace inferneo::text
