// Deterministic automata over bytes, and the operations on regular languages that schemas need:
// intersection, difference, tests. A state may also call rules (of a grammar); automata with calls
// are only linked (automaton.h), never combined.
// Thread: any (values and pure functions).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/grammar/budget.h"

namespace inferneo::text::grammar {

struct DfaEdge {
  std::uint8_t low = 0;
  std::uint8_t high = 0;
  std::uint32_t target = 0;
};

struct DfaCall {
  std::uint32_t rule = 0;
  std::uint32_t then = 0;  // the state after the rule
};

struct DfaState {
  std::vector<DfaEdge> edges;  // ascending, not overlapping
  std::vector<DfaCall> calls;
  bool final = false;
};

// State 0 is the start. No states: the empty language.
struct Dfa {
  std::vector<DfaState> states;

  [[nodiscard]] bool empty() const { return states.empty(); }
};

// The state behind `byte`, if any.
std::optional<std::uint32_t> next_state(const DfaState& state, std::uint8_t byte);

// Preconditions of all: no calls.
[[nodiscard]] bool matches(const Dfa& dfa, std::string_view text);
// Words of both; words of `a` that are none of `b`. Nothing when the budget ends first.
std::optional<Dfa> intersect(const Dfa& a, const Dfa& b, Budget& budget);
std::optional<Dfa> subtract(const Dfa& a, const Dfa& b, Budget& budget);

// Without states that no word passes through. Works with calls, which count as passable.
Dfa trim(Dfa dfa);
// The fewest states for the same language. Precondition: trimmed. Unchanged when it is large or the
// budget ends.
Dfa minimise(Dfa dfa, Budget& budget);

}  // namespace inferneo::text::grammar
