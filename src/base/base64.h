// Base64 with padding. Spec: RFC 4648 section 4.
// Thread: any (pure functions).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace inferneo {

void append_base64(std::string& out, std::span<const std::byte> bytes);

// Nothing when `text` is not base64: another character, a length that is no multiple of four, or
// padding that is not at the end.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace inferneo
