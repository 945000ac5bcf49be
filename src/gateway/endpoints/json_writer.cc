#include "gateway/endpoints/json_writer.h"

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

}  // namespace

void JsonWriter::string(std::string_view text) {
  separate();
  out_ += '"';
  std::size_t copied = 0;
  for (std::size_t at = 0; at < text.size();) {
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
  }
  out_ += text.substr(copied);
  out_ += '"';
  need_comma_ = true;
}

}  // namespace inferneo::gateway::endpoints
