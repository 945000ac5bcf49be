#include "base/version.h"

namespace inferneo {

// Defined by CMakeLists.txt from the version of the project.
std::string_view version() { return INFERNEO_VERSION; }

std::string_view compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

std::string_view build_type() {
#if defined(__SANITIZE_ADDRESS__)
  return "debug, address and undefined-behaviour sanitizers";
#elif defined(__SANITIZE_THREAD__)
  return "debug, thread sanitizer";
#elif defined(NDEBUG)
  return "release";
#else
  return "debug";
#endif
}

}  // namespace inferneo
