// How the requests of one name are shared between two versions: a pure function of a subject and a
// weight. A subject is whatever must not change versions in the middle (routing/subject.h).
// Growing the share moves subjects from the stable version to the candidate and never back;
// shrinking it only moves them back.
// Thread: any (plain values).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace inferneo::routing {

// The hash of what identifies a conversation.
using Subject = std::uint64_t;

// Unit of shares: 1/10,000, so that shares are whole numbers and always sum to the whole.
inline constexpr std::int32_t kWholeShare = 10'000;

struct Split {
  std::string name;                  // that requests ask for, without a version
  std::string stable;                // version that serves what the candidate does not
  std::string candidate;             // version that gets `candidate_share`
  std::int32_t candidate_share = 0;  // 0 to kWholeShare
  // Mixed into the hash of the subject. Why: with one salt for all, the same subjects would be the
  // first ones of every rollout.
  std::uint64_t salt = 0;
};

// Where a subject lies on the line from 0 to kWholeShare - 1 under that salt; uniform over
// subjects.
std::int32_t position_of(Subject subject, std::uint64_t salt);

// Whether the subject belongs to the candidate: its position lies below the share.
bool goes_to_candidate(const Split& split, Subject subject);

// Borrowed from `split`.
std::string_view version_for(const Split& split, Subject subject);

}  // namespace inferneo::routing
