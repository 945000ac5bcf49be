// Python's view of text: positions count characters, not bytes, and classes and case follow
// Unicode. All input is valid UTF-8. Thread: any (pure functions).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace inferneo::text::jinja {

std::size_t count_characters(std::string_view text);
// Byte offset of character `index`, or text.size() when there are fewer.
std::size_t offset_of(std::string_view text, std::size_t index);
std::u32string decode_characters(std::string_view text);
std::string encode_characters(std::u32string_view characters);

bool is_space(char32_t c);
bool is_letter(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_digit(char32_t c);    // also superscripts, as str.isdigit
bool is_decimal(char32_t c);  // what int() reads

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
inline std::string_view strip(std::string_view text) { return strip_left(strip_right(text)); }
// Strips characters that occur in `set`.
std::string_view strip_left(std::string_view text, std::u32string_view set);
std::string_view strip_right(std::string_view text, std::u32string_view set);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
// First character in title case, the others lower.
std::string capitalize(std::string_view text);
// Every run of cased characters capitalised (str.title).
std::string title_case(std::string_view text);

// str.splitlines.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// Offset of the first `needle` at or after `from`, npos when there is none. Linear time.
std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from);

// Appends `text` with &, <, >, ' and " replaced as markupsafe.escape does.
void append_escaped(std::string& out, std::string_view text);

}  // namespace inferneo::text::jinja
