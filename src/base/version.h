// What this program is: version, compiler, kind of build.
// Thread: any (constants).
#pragma once

#include <string_view>

namespace inferneo {

std::string_view version();     // "0.1.0"
std::string_view compiler();    // "GCC 12.2.0"
std::string_view build_type();  // "release", "debug"

}  // namespace inferneo
