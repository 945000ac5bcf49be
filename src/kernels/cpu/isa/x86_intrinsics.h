// The x86 intrinsics and the C headers that kernel files use. Include before everything else.
#pragma once

// Why: intrinsics of GCC 12 read a variable that they leave undefined on purpose, and the warning
// shows up wherever they are inlined. It must be off where the intrinsics are defined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
