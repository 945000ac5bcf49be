#include "text/grammar/position.h"

#include <algorithm>

#include "base/limits.h"

namespace inferneo::text::grammar {
namespace {

constexpr std::size_t kFrameCountStart = 64;

std::size_t hash_of(const Frame& frame) {
  return (std::uint64_t{frame.state} << 32U | frame.parent) * 0x9e3779b97f4a7c15ULL >> 20U;
}

}  // namespace

Position::Position(const Automaton& automaton) : automaton_(&automaton) {
  places_.reserve(16);
  next_.reserve(16);
  before_.reserve(16);
  frames_.reserve(kFrameCountStart);
  rebuild_index(2 * kFrameCountStart);
  places_.push_back({automaton.start(automaton.root()), 0, kBottom});
}

Position::Outcome Position::advance(std::string_view text) {
  too_complex_ = false;
  before_ = places_;
  const bool was_at_start = at_start_;
  for (const char c : text) {
    next_.clear();
    bool fits = true;
    for (const Place& place : places_) fits = fits && step(place, static_cast<std::uint8_t>(c));
    if (!fits || next_.empty()) {
      places_ = before_;
      at_start_ = was_at_start;
      return too_complex_ ? Outcome::kTooComplex : Outcome::kRefused;
    }
    places_.swap(next_);
    at_start_ = false;
  }
  // Frames of `before_` may go only now that nothing returns to them.
  if (frames_.size() * 2 >= index_.size()) collect_frames();
  return Outcome::kMoved;
}

// False when a bound was reached. Calls nest as deep as rules begin with rules, which linking
// bounds.
bool Position::step(Place place, std::uint8_t byte) {
  for (;;) {
    std::uint32_t count = place.count;
    const StateId target = automaton_->next(place.state, byte, count);
    if (target != kDeadState && !add({target, count, place.parent})) return false;
    for (const Call& call : automaton_->calls(place.state)) {
      if (!automaton_->first(call.rule).test(byte)) continue;
      const FrameId parent = call.then == kReturn ? place.parent : push({call.then, place.parent});
      if (parent == kBottom && call.then != kReturn) return false;
      if (!step({automaton_->start(call.rule), 0, parent}, byte)) return false;
    }
    if (!automaton_->is_final(place.state) || place.parent == kBottom) return true;
    const Frame& frame = frames_[place.parent];
    place = {frame.state, 0, frame.parent};
  }
}

bool Position::add(const Place& place) {
  if (std::ranges::find(next_, place) != next_.end()) return true;
  if (next_.size() == limits::kGrammarPlaceCountMax) {
    too_complex_ = true;
    return false;
  }
  next_.push_back(place);
  return true;
}

// kBottom when there are too many.
FrameId Position::push(const Frame& frame) {
  const std::size_t mask = index_.size() - 1;
  std::size_t slot = hash_of(frame) & mask;
  for (; index_[slot] != 0; slot = (slot + 1) & mask) {
    if (frames_[index_[slot] - 1] == frame) return index_[slot] - 1;
  }
  if (frames_.size() >= limits::kGrammarFrameCountMax) {
    too_complex_ = true;
    return kBottom;
  }
  frames_.push_back(frame);
  const auto id = static_cast<FrameId>(frames_.size() - 1);
  index_[slot] = id + 1;
  if (frames_.size() * 4 >= index_.size() * 3) rebuild_index(index_.size() * 2);
  return id;
}

void Position::rebuild_index(std::size_t size) {
  index_.assign(size, 0);
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    std::size_t slot = hash_of(frames_[i]) & (size - 1);
    while (index_[slot] != 0) slot = (slot + 1) & (size - 1);
    index_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

// Drops frames that no place returns to. Parents have lower ids than what is on top of them, so one
// pass down marks and one pass up moves.
void Position::collect_frames() {
  constexpr FrameId kUnused = kBottom;
  constexpr FrameId kUsed = kBottom - 1;
  moved_.assign(frames_.size(), kUnused);
  for (const Place& place : places_) {
    if (place.parent != kBottom) moved_[place.parent] = kUsed;
  }
  for (std::size_t i = frames_.size(); i-- > 0;) {
    if (moved_[i] == kUsed && frames_[i].parent != kBottom) moved_[frames_[i].parent] = kUsed;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    if (moved_[i] == kUnused) continue;
    Frame frame = frames_[i];
    if (frame.parent != kBottom) frame.parent = moved_[frame.parent];
    moved_[i] = static_cast<FrameId>(kept);
    frames_[kept++] = frame;
  }
  frames_.resize(kept);
  for (Place& place : places_) {
    if (place.parent != kBottom) place.parent = moved_[place.parent];
  }
  // When most are in use, the table grows, so that this happens rarely.
  rebuild_index(kept * 4 >= index_.size() ? index_.size() * 2 : index_.size());
}

bool Position::may_end() const {
  if (at_start_ && automaton_->is_nullable(automaton_->root())) return true;
  for (Place place : places_) {
    while (automaton_->is_final(place.state)) {
      if (place.parent == kBottom) return true;
      const Frame& frame = frames_[place.parent];
      place = {frame.state, 0, frame.parent};
    }
  }
  return false;
}

ByteSet Position::next_bytes() const {
  ByteSet bytes;
  for (Place place : places_) {
    for (;;) {
      automaton_->add_bytes(place.state, place.count, bytes);
      for (const Call& call : automaton_->calls(place.state)) {
        bytes |= automaton_->first(call.rule);
      }
      if (!automaton_->is_final(place.state) || place.parent == kBottom) break;
      const Frame& frame = frames_[place.parent];
      place = {frame.state, 0, frame.parent};
    }
  }
  return bytes;
}

}  // namespace inferneo::text::grammar
