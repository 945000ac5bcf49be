// The states of one version of a model, and which may follow which.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <string_view>

namespace inferneo::manager {

enum class VersionState : std::uint8_t {
  kRegistered,  // known, never loaded
  kLoading,     // wanted: queued, planned, waiting for memory, or being read
  kWarming,     // in memory; its engine is being built and its first step run
  kReady,       // serves
  kSleeping,    // only its files are mapped and its texts kept; a request wakes it
  kDraining,    // takes no new requests; those that hold a lease finish
  kUnloaded,    // was loaded before; holds no memory
  kFailed,      // the last load failed; the reason is kept
};
inline constexpr std::size_t kVersionStateCount = 8;

// "registered", "loading", ...
std::string_view version_state_name(VersionState state);

// Whether a version may go from one state to the other.
bool may_follow(VersionState from, VersionState to);

}  // namespace inferneo::manager
