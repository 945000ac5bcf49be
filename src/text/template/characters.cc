#include "text/template/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/utf8.h"

namespace inferneo::text::jinja {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_cased(char32_t c) {
  return is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT;
}

// Characters whose upper case is more than one character.
// Spec: Unicode SpecialCasing.txt, the unconditional mappings that occur in European text.
constexpr std::array<std::pair<char32_t, std::u32string_view>, 9> kUpperSequences = {{
    {U'\u00DF', U"SS"},
    {U'\u0149', U"\u02BCN"},
    {U'\u01F0', U"J\u030C"},
    {U'\uFB00', U"FF"},
    {U'\uFB01', U"FI"},
    {U'\uFB02', U"FL"},
    {U'\uFB03', U"FFI"},
    {U'\uFB04', U"FFL"},
    {U'\uFB06', U"ST"},
}};

void append_upper(std::string& out, char32_t c) {
  for (const auto& [from, to] : kUpperSequences) {
    if (c != from) continue;
    out += encode_characters(to);
    return;
  }
  utf8::append(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void append_title(std::string& out, char32_t c) {
  if (c == U'\u00DF') {
    out += "Ss";
    return;
  }
  utf8::append(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

// A sigma that ends a word has a form of its own.
bool is_final_sigma(std::u32string_view text, std::size_t at) {
  const bool after_cased = at > 0 && is_cased(text[at - 1]);
  const bool before_cased = at + 1 < text.size() && is_cased(text[at + 1]);
  return text[at] == U'\u03A3' && after_cased && !before_cased;
}

void append_lower(std::string& out, std::u32string_view text, std::size_t at) {
  const char32_t c = text[at];
  if (c == U'\u0130') {
    out += "i\xCC\x87";
  } else if (is_final_sigma(text, at)) {
    utf8::append(out, U'\u03C2');
  } else {
    utf8::append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

bool is_line_break(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

// Start of the character that ends before `end`.
std::size_t previous(std::string_view text, std::size_t end) {
  std::size_t at = end - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

template <typename Strips>
std::string_view strip_left_if(std::string_view text, const Strips& strips) {
  std::size_t at = 0;
  while (at < text.size()) {
    const utf8::Decoded decoded = utf8::decode(text, at);
    if (!strips(decoded.code_point)) break;
    at += decoded.size;
  }
  return text.substr(at);
}

template <typename Strips>
std::string_view strip_right_if(std::string_view text, const Strips& strips) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t at = previous(text, end);
    if (!strips(utf8::decode(text, at).code_point)) break;
    end = at;
  }
  return text.substr(0, end);
}

}  // namespace

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t offset_of(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
  return at;
}

std::u32string decode_characters(std::string_view text) {
  std::u32string characters;
  characters.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Decoded decoded = utf8::decode(text, at);
    characters += decoded.code_point;
    at += decoded.size;
  }
  return characters;
}

std::string encode_characters(std::u32string_view characters) {
  std::string text;
  text.reserve(characters.size());
  for (const char32_t c : characters) utf8::append(text, c);
  return text;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_letter(char32_t c) {
  const utf8proc_category_t found = category(c);
  return found >= UTF8PROC_CATEGORY_LU && found <= UTF8PROC_CATEGORY_LO;
}

bool is_upper(char32_t c) { return utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0; }

bool is_lower(char32_t c) { return utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0; }

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t c) {
  return is_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 ||
         (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
         (c >= 0x2460 && c <= 0x2468);
}

std::string_view strip_left(std::string_view text) { return strip_left_if(text, is_space); }

std::string_view strip_right(std::string_view text) { return strip_right_if(text, is_space); }

std::string_view strip_left(std::string_view text, std::u32string_view set) {
  return strip_left_if(text, [&](char32_t c) { return set.find(c) != set.npos; });
}

std::string_view strip_right(std::string_view text, std::u32string_view set) {
  return strip_right_if(text, [&](char32_t c) { return set.find(c) != set.npos; });
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : decode_characters(text)) append_upper(out, c);
  return out;
}

std::string to_lower(std::string_view text) {
  const std::u32string characters = decode_characters(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < characters.size(); ++i) append_lower(out, characters, i);
  return out;
}

std::string capitalize(std::string_view text) {
  const std::u32string characters = decode_characters(text);
  std::string out;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    if (i == 0) {
      append_title(out, characters[i]);
    } else {
      append_lower(out, characters, i);
    }
  }
  return out;
}

std::string title_case(std::string_view text) {
  const std::u32string characters = decode_characters(text);
  std::string out;
  bool inside_word = false;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    if (inside_word) {
      append_lower(out, characters, i);
    } else {
      append_title(out, characters[i]);
    }
    inside_word = is_cased(characters[i]);
  }
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Decoded decoded = utf8::decode(text, at);
    const std::size_t end = at;
    at += decoded.size;
    if (!is_line_break(decoded.code_point)) continue;
    if (decoded.code_point == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  // Why memmem: std::string_view::find is quadratic in the worst case.
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (!found) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
}

}  // namespace inferneo::text::jinja
