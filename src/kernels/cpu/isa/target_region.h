// Opens and closes a region of code for one instruction set, for GCC and Clang.
// Why not per-file flags: with them a template shared with a baseline file would be emitted with
// wide instructions and the linker could keep that copy for the whole program.
// Use after all includes; put nothing but an anonymous namespace and the table inside.
#pragma once

#define INFERNEO_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define INFERNEO_TARGET_BEGIN(features) \
  INFERNEO_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define INFERNEO_TARGET_END INFERNEO_PRAGMA(clang attribute pop)
#define INFERNEO_UNROLL
#else
#define INFERNEO_TARGET_BEGIN(features) \
  INFERNEO_PRAGMA(GCC push_options)     \
  INFERNEO_PRAGMA(GCC target(features))
#define INFERNEO_TARGET_END INFERNEO_PRAGMA(GCC pop_options)
// Before a loop of constant length over registers: such a loop must vanish.
#define INFERNEO_UNROLL INFERNEO_PRAGMA(GCC unroll 64)
#endif
