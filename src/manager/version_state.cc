#include "manager/version_state.h"

namespace inferneo::manager {

std::string_view version_state_name(VersionState state) {
  switch (state) {
    case VersionState::kRegistered:
      return "registered";
    case VersionState::kLoading:
      return "loading";
    case VersionState::kWarming:
      return "warming";
    case VersionState::kReady:
      return "ready";
    case VersionState::kSleeping:
      return "sleeping";
    case VersionState::kDraining:
      return "draining";
    case VersionState::kUnloaded:
      return "unloaded";
    case VersionState::kFailed:
      return "failed";
  }
  return "unknown";
}

bool may_follow(VersionState from, VersionState to) {
  using enum VersionState;
  switch (from) {
    case kRegistered:
    case kUnloaded:
      return to == kLoading;
    case kSleeping:
      return to == kLoading || to == kUnloaded;
    case kFailed:
      return to == kLoading || to == kUnloaded;
    case kLoading:  // given up before it was read: unloaded
      return to == kWarming || to == kFailed || to == kUnloaded;
    case kWarming:
      return to == kReady || to == kFailed;
    case kReady:
      return to == kDraining;
    case kDraining:  // to warming when only the pool is built anew
      return to == kUnloaded || to == kSleeping || to == kWarming;
  }
  return false;
}

}  // namespace inferneo::manager
