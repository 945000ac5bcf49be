// CHECK (always on) and DCHECK (debug and fuzz builds) state our own invariants. Nothing that comes
// from outside (a file, a request, a config value, a full disk) may ever trip one: that is what
// Status is for.
// Thread: any.
#pragma once

namespace inferneo {

// Prints the failed condition to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace inferneo

#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::inferneo::check_failed(#condition, __FILE__, __LINE__))

#if !defined(NDEBUG) || defined(INFERNEO_DCHECK)
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition) static_cast<void>(0)
#endif
