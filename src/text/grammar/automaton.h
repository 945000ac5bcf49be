// A deterministic byte automaton a rule, linked by calls: together a pushdown automaton that reads
// an answer byte by byte. A position is a state and the stack of states to return to; where a
// grammar is ambiguous there are several. Every state can reach the end of its rule, so a position
// that was reached can always be completed. Thread: any; immutable once made.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "text/grammar/grammar.h"

namespace inferneo::text::grammar {

using StateId = std::uint32_t;
using ByteSet = std::bitset<256>;

inline constexpr StateId kDeadState = UINT32_MAX;
// Where a call has nothing left to do: the caller's own caller goes on.
inline constexpr StateId kReturn = UINT32_MAX - 1;

struct Call {
  std::uint32_t rule = 0;
  StateId then = 0;  // or kReturn
};

// The bounds of a counted rule (grammar.h).
struct Loop {
  std::uint32_t shape = 0;
  StateId head = 0;  // between two characters
  StateId exit = 0;  // behind the closing byte
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};

class Automaton {
 public:
  // `shared` comes first, with the same numbers of rules and states: its rules are what `grammar`
  // begins with, and callers may keep what they know about its states. Null for none.
  // Failures: invalid_argument naming the rule for left recursion and for a grammar that matches
  // nothing; Budget::failure().
  static Result<Automaton> link(const Grammar& grammar, const Automaton* shared = nullptr);

  // kDeadState when no word goes on with `byte`. `count` is the number of characters read so far in
  // a counted rule, 0 elsewhere; it is updated.
  [[nodiscard]] StateId next(StateId state, std::uint8_t byte, std::uint32_t& count) const {
    const State& s = states_[state];
    const StateId target = s.row != 0 ? rows_[s.row - 1][byte] : find_edge(s, byte);
    if (s.loop == 0 || target == kDeadState) return target;
    return count_character(loops_[s.loop - 1], state, target, count);
  }
  // The same without the bounds of a counted rule.
  [[nodiscard]] StateId next_unbounded(StateId state, std::uint8_t byte) const {
    const State& s = states_[state];
    return s.row != 0 ? rows_[s.row - 1][byte] : find_edge(s, byte);
  }
  [[nodiscard]] std::span<const Call> calls(StateId state) const {
    return std::span(calls_).subspan(states_[state].call_begin, states_[state].call_count);
  }
  [[nodiscard]] bool is_final(StateId state) const { return states_[state].final; }
  // Neither calls nor the end of the rule: only bytes lead on.
  [[nodiscard]] bool is_plain(StateId state) const {
    return !states_[state].final && states_[state].call_count == 0;
  }
  // A state of the root, where nothing called the root: its end is the end of the text.
  [[nodiscard]] bool is_outermost(StateId state) const {
    return state >= outermost_begin_ && state < outermost_end_;
  }
  // Only bytes lead on, to the end of the text at most.
  [[nodiscard]] bool only_reads(StateId state) const {
    return states_[state].call_count == 0 && (!states_[state].final || is_outermost(state));
  }
  // The counted rule that the state is inside of, or null.
  [[nodiscard]] const Loop* loop(StateId state) const {
    return states_[state].loop == 0 ? nullptr : &loops_[states_[state].loop - 1];
  }
  // Bytes with which a word of the rule may begin.
  [[nodiscard]] const ByteSet& first(std::uint32_t rule) const { return rules_[rule].first; }
  [[nodiscard]] StateId start(std::uint32_t rule) const { return rules_[rule].start; }
  // The empty word is in the language of the rule (calls never read it: they are skipped instead).
  [[nodiscard]] bool is_nullable(std::uint32_t rule) const { return rules_[rule].nullable; }
  // Bytes that the state itself reads (in a counted rule: for the given count).
  void add_bytes(StateId state, std::uint32_t count, ByteSet& bytes) const;

  // The counted rule of shape 0, which the shared automaton has; null without one.
  [[nodiscard]] const Loop* first_shape() const {
    return loops_.empty() || loops_[0].shape != 0 ? nullptr : &loops_[0];
  }
  [[nodiscard]] std::uint32_t root() const { return root_; }
  [[nodiscard]] std::size_t state_count() const { return states_.size(); }
  [[nodiscard]] std::size_t rule_count() const { return rules_.size(); }
  [[nodiscard]] std::size_t size_bytes() const;

 private:
  friend class Linker;
  struct Edge {
    std::uint8_t low = 0;
    std::uint8_t high = 0;
    StateId target = 0;
  };
  struct State {
    std::uint32_t edge_begin = 0;
    std::uint32_t call_begin = 0;
    std::uint16_t edge_count = 0;
    std::uint16_t call_count = 0;
    std::uint32_t row = 0;   // index + 1 of a table of all bytes; 0: few edges
    std::uint32_t loop = 0;  // index + 1
    bool final = false;
  };
  struct RuleEntry {
    StateId start = 0;
    bool nullable = false;
    ByteSet first;
  };
  using Row = std::vector<StateId>;

  [[nodiscard]] StateId find_edge(const State& state, std::uint8_t byte) const {
    for (std::uint32_t i = 0; i < state.edge_count; ++i) {
      const Edge& edge = edges_[state.edge_begin + i];
      if (byte <= edge.high) return byte >= edge.low ? edge.target : kDeadState;
    }
    return kDeadState;
  }
  static StateId count_character(const Loop& loop,
                                 StateId state,
                                 StateId target,
                                 std::uint32_t& count) {
    if (state == loop.head) {
      if (target == loop.exit) {
        if (count < loop.min) return kDeadState;
        count = 0;
        return target;
      }
      if (count >= loop.max) return kDeadState;
    }
    if (target == loop.head) ++count;
    return target;
  }

  std::vector<State> states_;
  std::vector<Edge> edges_;
  std::vector<Row> rows_;
  std::vector<Call> calls_;
  std::vector<Loop> loops_;
  std::vector<RuleEntry> rules_;
  std::uint32_t root_ = 0;
  StateId outermost_begin_ = 0;
  StateId outermost_end_ = 0;
};

}  // namespace inferneo::text::grammar
