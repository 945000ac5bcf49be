// Base64 with padding. Spec: RFC 4648 section 4.
// Thread: any (pure functions).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace inferneo {

void append_base64(std::string& out, std::span<const std::byte> bytes);

}  // namespace inferneo
