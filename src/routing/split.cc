#include "routing/split.h"

namespace inferneo::routing {
namespace {

// Finalizer of SplitMix64: a bijection of 64 bits in which each input bit changes each output bit
// with probability near one half. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators", OOPSLA 2014 (variant 13 of Stafford's mixers).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace

std::int32_t position_of(Subject subject, std::uint64_t salt) {
  // Why two rounds: with one, salts that differ in one bit give related orders of subjects.
  const std::uint64_t hash = mix(subject + mix(salt + 0x9e3779b97f4a7c15U));
  // The upper 32 bits times the range: no division, a bias below 10,000 / 2^32.
  return static_cast<std::int32_t>(((hash >> 32) * kWholeShare) >> 32);
}

bool goes_to_candidate(const Split& split, Subject subject) {
  return position_of(subject, split.salt) < split.candidate_share;
}

std::string_view version_for(const Split& split, Subject subject) {
  return goes_to_candidate(split, subject) ? split.candidate : split.stable;
}

}  // namespace inferneo::routing
