// Character classes and small comparisons of HTTP's grammar.
// Thread: any. Spec: RFC 9110 section 5.6, RFC 3986 section 3.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace inferneo::gateway::http {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Token characters: what methods and field names are made of.
inline bool is_token_char(char c) {
  return is_digit(c) || is_letter(c) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
inline bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

// Characters of a path or query, '%' included (its digits are checked when decoding).
inline bool is_target_char(char c) {
  return is_digit(c) || is_letter(c) ||
         (c != '\0' &&
          std::string_view("-._~!$&'()*+,;=:@/?%[]").find(c) != std::string_view::npos);
}

inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}
inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return to_lower(x) == to_lower(y);
         });
}

// `text` without spaces and tabs at its ends.
inline std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Whether a comma-separated list holds `item` (lower case), ignoring case.
inline bool list_contains(std::string_view list, std::string_view item) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (equals_ignoring_case(trim(list.substr(0, comma)), item)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace inferneo::gateway::http
