// Bytes in groups that grammars seldom tell apart, so that a set of them fits into a word: what
// occurs below a node of the vocabulary's tree, and what leads a state back to itself. Where the
// one is within the other, all that is below the node can be read, without a walk.
// Thread: any (pure functions).
#pragma once

#include <cstdint>

#include "text/grammar/automaton.h"

namespace inferneo::text::grammar {

// One bit for each group of ASCII bytes, and two for the others.
using ByteGroups = std::uint64_t;

// Characters of two bytes and more that begin where a character may, or their beginnings.
inline constexpr ByteGroups kLongCharacters = ByteGroups{1} << 62U;
// Bytes from 0x80 on that are no part of such.
inline constexpr ByteGroups kStrayBytes = ByteGroups{1} << 63U;

// Of an ASCII byte.
ByteGroups group_of(std::uint8_t byte);

// The groups of which every byte, and every character, leads `state` back to itself, with nothing
// else to do on the way (Automaton::only_reads). Empty for other states and in counted rules.
ByteGroups closed_groups(const Automaton& automaton, StateId state);

// Follows the characters of a text: which bytes go on with one.
// Spec: The Unicode Standard, table 3-7 (well-formed UTF-8).
class CharacterReader {
 public:
  [[nodiscard]] bool at_boundary() const { return left_ == 0; }
  // False when the byte, from 0x80 on, is no part of a character here; the reader is then at a
  // boundary.
  bool read(std::uint8_t byte);

 private:
  std::uint8_t left_ = 0;    // bytes that are still to come
  std::uint8_t low_ = 0x80;  // bounds of the next one
  std::uint8_t high_ = 0xBF;
};

}  // namespace inferneo::text::grammar
