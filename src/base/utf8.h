// UTF-8 decoding, encoding and validation (Spec: RFC 3629; maximal-subpart replacement as in
// Unicode 15, chapter 3, table 3-8).
// Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace inferneo::utf8 {

inline constexpr char32_t kReplacement = 0xFFFD;

struct Decoded {
  char32_t code_point = kReplacement;
  // Bytes consumed, at least 1. For an invalid sequence: its maximal valid prefix.
  std::size_t size = 1;
  bool valid = false;
};

// Decodes the character at byte `at`. Precondition: at < text.size().
Decoded decode(std::string_view text, std::size_t at);

void append(std::string& out, char32_t code_point);

bool is_valid(std::string_view text);

// Byte length of the longest prefix of `text` that does not end inside a character that further
// bytes could complete. Used to hold back incomplete characters of a stream.
std::size_t complete_prefix_size(std::string_view text);

// `text` with every invalid sequence replaced by U+FFFD.
std::string sanitize(std::string_view text);

}  // namespace inferneo::utf8
