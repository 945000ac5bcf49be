// The byte-level alphabet: a printable character for every byte, so that a vocabulary of text can
// hold arbitrary bytes. Printable Latin-1 stands for itself, the other bytes for U+0100 and up.
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace inferneo::text {

char32_t byte_to_char(std::uint8_t byte);

// The byte that a character stands for, or -1.
int char_to_byte(char32_t character);

// The bytes that `name` stands for, or nothing when a character is not of the alphabet.
std::optional<std::string> byte_level_bytes(std::string_view name);

// The name of the token that stands for one byte in vocabularies of characters: "<0x0A>".
std::string fallback_name(std::uint8_t byte);

}  // namespace inferneo::text
