// Concatenation of text and numbers for messages, and nearest-name search for "did you mean".
// Thread: any.
#pragma once

#include <charconv>
#include <concepts>
#include <span>
#include <string>
#include <string_view>

namespace inferneo {

inline void append_piece(std::string& out, std::string_view text) { out += text; }
inline void append_piece(std::string& out, char c) { out += c; }

template <std::same_as<bool> Bool>
void append_piece(std::string& out, Bool value) {
  out += value ? "true" : "false";
}

template <typename Number>
requires((std::integral<Number> || std::floating_point<Number>)&&!std::same_as<Number, bool> &&
         !std::same_as<Number, char>) void append_piece(std::string& out, Number value) {
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, end);
}

// str("tensor ", name, " has ", 3, " dims")
template <typename... Pieces>
std::string str(const Pieces&... pieces) {
  std::string out;
  (append_piece(out, pieces), ...);
  return out;
}

// "a, b, c"
std::string joined(std::span<const std::string_view> names);

// The candidate that `name` most likely stands for: one that is a single edit away, else the
// shortest of which it is the beginning (four characters of it at least), else the one with the
// smallest edit distance. Empty when none is near enough to be a likely typing error (distance
// above a third of the name's length, at least 2).
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

// `text` with control characters and invalid UTF-8 replaced, cut to `size_max` bytes: safe to print
// in an error message.
std::string printable(std::string_view text, std::size_t size_max = 64);

}  // namespace inferneo
