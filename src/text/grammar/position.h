// Where an answer stands in an automaton: one or, where the grammar is ambiguous, several states,
// each with the states to return to. Stacks share their lower parts. Thread: one owner. Ownership:
// owns its stacks, borrows the automaton. advance() allocates only when the nesting or the
// ambiguity grows beyond what was met before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/grammar/automaton.h"

namespace inferneo::text::grammar {

using FrameId = std::uint32_t;
inline constexpr FrameId kBottom = UINT32_MAX;

// What is to be done after a rule.
struct Frame {
  StateId state = 0;
  FrameId parent = kBottom;
  friend bool operator==(const Frame&, const Frame&) = default;
};

struct Place {
  StateId state = 0;
  std::uint32_t count = 0;  // characters read in a counted rule
  FrameId parent = kBottom;
  friend bool operator==(const Place&, const Place&) = default;
};

class Position {
 public:
  // Before the first byte. `automaton` must outlive the position.
  explicit Position(const Automaton& automaton);

  enum class Outcome : std::uint8_t { kMoved, kRefused, kTooComplex };
  // Moves behind `text`. Refused: no word goes on like this. Too complex: a bound on ambiguity or
  // nesting was reached. Unless moved, the position is where it was.
  Outcome advance(std::string_view text);

  [[nodiscard]] bool may_end() const;
  // Bytes that may come next.
  [[nodiscard]] ByteSet next_bytes() const;

  [[nodiscard]] std::span<const Place> places() const { return places_; }
  [[nodiscard]] const Frame& frame(FrameId id) const { return frames_[id]; }

 private:
  bool step(Place place, std::uint8_t byte);
  bool add(const Place& place);
  FrameId push(const Frame& frame);
  void rebuild_index(std::size_t size);
  void collect_frames();

  const Automaton* automaton_;
  bool at_start_ = true;
  bool too_complex_ = false;
  std::vector<Place> places_;
  std::vector<Place> next_;
  std::vector<Place> before_;
  std::vector<Frame> frames_;
  std::vector<std::uint32_t> index_;  // open addressing: frame id + 1 by hash of the frame
  std::vector<FrameId> moved_;        // scratch of collect_frames
};

}  // namespace inferneo::text::grammar
