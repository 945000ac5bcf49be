#include "gateway/endpoints/json_writer.h"

#include <cstdint>
#include <cstring>

#include "base/utf8.h"

namespace inferneo::gateway::endpoints {
namespace {

// Spec: RFC 8259 section 7; only quotes, backslashes and control characters must be escaped.
void append_escaped(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4U];
      out += kHex[static_cast<unsigned char>(c) & 15U];
  }
}

bool needs_escape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

// Bytes of `text` from `at` on that are printable ASCII and need no escape, in whole eights.
// Why whole words: names and most texts are nothing else, and this is most of a frame's cost.
std::size_t plain_size(std::string_view text, std::size_t at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = kOnes * 0x80;
  const std::size_t begin = at;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof(word));
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t backslash = word ^ (kOnes * '\\');
    const std::uint64_t del = word ^ (kOnes * 0x7f);
    // A byte minus one borrows into its high bit when it is zero, minus 0x20 when it is a control
    // character. A borrow can mark the byte above as well, never hide one: it only costs time.
    const std::uint64_t special =
        (quote - kOnes) | (backslash - kOnes) | (del - kOnes) | (word - kOnes * 0x20) | word;
    if ((special & kHigh) != 0) break;
  }
  return at - begin;
}

}  // namespace

void JsonWriter::string(std::string_view text) {
  separate();
  out_ += '"';
  std::size_t copied = 0;
  for (std::size_t at = plain_size(text, 0); at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80 && !needs_escape(text[at])) {
      ++at;
      continue;
    }
    const utf8::Decoded next = utf8::decode(text, at);
    if (next.valid && byte >= 0x80) {
      at += next.size;
      continue;
    }
    out_ += text.substr(copied, at - copied);
    if (next.valid) {
      append_escaped(out_, text[at]);
    } else {
      utf8::append(out_, utf8::kReplacement);
    }
    at += next.size;
    copied = at;
    at += plain_size(text, at);
  }
  out_ += text.substr(copied);
  out_ += '"';
  need_comma_ = true;
}

}  // namespace inferneo::gateway::endpoints
