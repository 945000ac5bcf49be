#include "text/grammar/byte_groups.h"

#include <algorithm>
#include <array>
#include <vector>

namespace inferneo::text::grammar {
namespace {

constexpr std::array<std::uint8_t, 128> kGroups = [] {
  std::array<std::uint8_t, 128> groups{};
  std::uint8_t next = 8;
  for (int byte = 0; byte < 128; ++byte) {
    const auto at = static_cast<std::size_t>(byte);
    if (byte >= 'a' && byte <= 'z') {
      groups[at] = byte <= 'f' ? 0 : 1;  // digits in hexadecimal are read apart
    } else if (byte >= 'A' && byte <= 'Z') {
      groups[at] = byte <= 'F' ? 2 : 3;
    } else if (byte >= '0' && byte <= '9') {
      groups[at] = byte == '0' ? 4 : 5;
    } else if (byte == '\t' || byte == '\n' || byte == '\r') {
      groups[at] = 6;
    } else if (byte < ' ') {
      groups[at] = 7;
    } else {
      groups[at] = next++;  // marks, the space and the last byte one by one
    }
  }
  return groups;
}();

// Whether bytes low to high lead each of `from` to `state`, which then hold after one byte more.
class ClosedCharacters {
 public:
  ClosedCharacters(const Automaton& automaton, StateId state)
      : automaton_(automaton), state_(state) {}

  // All characters of two bytes and more.
  bool closed() {
    return leads(0xC2, 0xDF, 0x80, 0xBF, 0) && leads(0xE0, 0xE0, 0xA0, 0xBF, 1) &&
           leads(0xE1, 0xEC, 0x80, 0xBF, 1) && leads(0xED, 0xED, 0x80, 0x9F, 1) &&
           leads(0xEE, 0xEF, 0x80, 0xBF, 1) && leads(0xF0, 0xF0, 0x90, 0xBF, 2) &&
           leads(0xF1, 0xF3, 0x80, 0xBF, 2) && leads(0xF4, 0xF4, 0x80, 0x8F, 2);
  }

 private:
  // First bytes first_low to first_high, then one of low to high, then `more` that go on.
  bool leads(int first_low, int first_high, int low, int high, std::size_t more) {
    for (int first = first_low; first <= first_high; ++first) {
      if (!goes_on(next(state_, first), low, high, more)) return false;
    }
    return true;
  }

  bool goes_on(StateId from, int low, int high, std::size_t more) {
    if (from == kDeadState || from == state_ || !automaton_.only_reads(from)) return false;
    const bool whole = low == 0x80 && high == 0xBF;
    std::vector<StateId>& known = known_[more];
    if (whole && std::ranges::find(known, from) != known.end()) return true;
    for (int byte = low; byte <= high; ++byte) {
      const StateId target = next(from, byte);
      if (more == 0 ? target != state_ : !goes_on(target, 0x80, 0xBF, more - 1)) return false;
    }
    if (whole) known.push_back(from);
    return true;
  }

  [[nodiscard]] StateId next(StateId from, int byte) const {
    return automaton_.next_unbounded(from, static_cast<std::uint8_t>(byte));
  }

  const Automaton& automaton_;
  const StateId state_;
  std::array<std::vector<StateId>, 3> known_;  // states that are fine, by the bytes that follow
};

}  // namespace

ByteGroups group_of(std::uint8_t byte) { return ByteGroups{1} << kGroups[byte]; }

ByteGroups closed_groups(const Automaton& automaton, StateId state) {
  if (!automaton.only_reads(state) || automaton.loop(state) != nullptr) return 0;
  ByteGroups open = kStrayBytes;
  ByteGroups any = 0;
  for (int byte = 0; byte < 128; ++byte) {
    const auto at = static_cast<std::uint8_t>(byte);
    any |= group_of(at);
    if (automaton.next_unbounded(state, at) != state) open |= group_of(at);
  }
  ByteGroups closed = any & ~open;
  if (closed != 0 && ClosedCharacters(automaton, state).closed()) closed |= kLongCharacters;
  return closed;
}

bool CharacterReader::read(std::uint8_t byte) {
  if (left_ > 0) {
    const bool fits = byte >= low_ && byte <= high_;
    left_ = fits ? static_cast<std::uint8_t>(left_ - 1) : 0;
    low_ = 0x80;
    high_ = 0xBF;
    return fits;
  }
  if (byte < 0x80) return true;
  if (byte < 0xC2 || byte > 0xF4) return false;
  left_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
  if (byte == 0xE0) low_ = 0xA0;
  if (byte == 0xED) high_ = 0x9F;
  if (byte == 0xF0) low_ = 0x90;
  if (byte == 0xF4) high_ = 0x8F;
  return true;
}

}  // namespace inferneo::text::grammar
