#include "base/utf8.h"

#include <cstdint>

namespace inferneo::utf8 {
namespace {

struct Lead {
  std::size_t size;  // of the whole character, 0 for an invalid lead byte
  std::uint8_t second_min;
  std::uint8_t second_max;
};

Lead classify(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Bytes of the character at `at` that are present and valid, up to its full size.
std::size_t valid_run(std::string_view text, std::size_t at, const Lead& lead) {
  std::size_t run = 1;
  while (run < lead.size && at + run < text.size()) {
    const auto byte = static_cast<std::uint8_t>(text[at + run]);
    const std::uint8_t low = run == 1 ? lead.second_min : 0x80;
    const std::uint8_t high = run == 1 ? lead.second_max : 0xBF;
    if (byte < low || byte > high) break;
    ++run;
  }
  return run;
}

}  // namespace

Decoded decode(std::string_view text, std::size_t at) {
  const auto first = static_cast<std::uint8_t>(text[at]);
  const Lead lead = classify(first);
  if (lead.size == 1) return {first, 1, true};
  if (lead.size == 0) return {};
  const std::size_t run = valid_run(text, at, lead);
  if (run < lead.size) return {kReplacement, run, false};
  char32_t value = first & (0x7Fu >> lead.size);
  for (std::size_t i = 1; i < lead.size; ++i) {
    value = (value << 6) | (static_cast<std::uint8_t>(text[at + i]) & 0x3Fu);
  }
  return {value, lead.size, true};
}

void append(std::string& out, char32_t code_point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto value = static_cast<std::uint32_t>(code_point);
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | (value >> 6));
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | (value >> 18));
    put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

bool is_valid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Decoded next = decode(text, at);
    if (!next.valid) return false;
    at += next.size;
  }
  return true;
}

std::size_t complete_prefix_size(std::string_view text) {
  // Only the last three bytes can belong to an unfinished character.
  const std::size_t start = text.size() > 3 ? text.size() - 3 : 0;
  for (std::size_t at = text.size(); at-- > start;) {
    const Lead lead = classify(static_cast<std::uint8_t>(text[at]));
    if (lead.size > 1) {
      const std::size_t run = valid_run(text, at, lead);
      const bool unfinished = run < lead.size && at + run == text.size();
      return unfinished ? at : text.size();
    }
    if (lead.size == 1) return text.size();
  }
  return text.size();
}

std::string sanitize(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Decoded next = decode(text, at);
    append(out, next.code_point);
    at += next.size;
  }
  return out;
}

}  // namespace inferneo::utf8
