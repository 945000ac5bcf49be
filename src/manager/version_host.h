// What a rollout needs of whoever holds the models: make a version ready, share a name between
// two versions, measure them, let go of one. The manager's lifecycle implements it; tests and the
// simulation bring a fake.
// Thread: control; the rollout controller calls it with its own lock held, so no method may block
// (loads and prompts run elsewhere and are asked about) nor call the controller.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "observe/outcomes.h"
#include "routing/split.h"

namespace inferneo::manager {

// A request with a known good answer, run on a version before it gets real requests and at the
// stages of extended validation.
struct GoldenPrompt {
  std::string prompt;  // raw text, decoded greedily
  std::int32_t max_tokens = 16;
  // The answer must contain it; empty: any answer that is not empty and whose logits are finite.
  std::string expected;
};

struct GoldenOutcome {
  std::int32_t passed = 0;
  std::int32_t failed = 0;
  std::string first_failure;  // which prompt and why, for the reason of a rollback
};

// What loading a version would take, for a dry run.
struct LoadPreview {
  bool is_loaded = false;
  std::uint64_t bytes_needed = 0;     // 0 when it is loaded
  std::uint64_t bytes_available = 0;  // of the budget, without evicting anything
  bool fits = false;                  // maybe after evictions; never of the two versions
  std::string note;                   // what would be evicted, or why it does not fit
};

class VersionHost {
 public:
  enum class State : std::uint8_t { kAbsent, kLoading, kReady, kFailed };
  struct Version {
    State state = State::kAbsent;
    Status failure;  // of kFailed
  };

  virtual ~VersionHost() = default;

  // The version that plain `name` resolves to. Failures: not_found for an unknown name.
  virtual Result<std::string> live_version(std::string_view name) = 0;
  // Failures: not_found with the hint that names the known versions.
  virtual Result<LoadPreview> preview(std::string_view name, std::string_view version) = 0;

  // Begins to load and warm the version unless it is ready, and holds it: it is neither evicted nor
  // unloaded nor put to sleep until release(). Idempotent. Failures: not_found, and what can be
  // said at once (resource_exhausted); later ones show in state().
  virtual Status hold(std::string_view name, std::string_view version) = 0;
  [[nodiscard]] virtual Version state(std::string_view name, std::string_view version) = 0;
  // Ends the hold; the version may be drained and unloaded now, as the policy of the name says.
  // Idempotent; requests in flight on it end normally.
  virtual void release(std::string_view name, std::string_view version) = 0;

  // From now on requests for split.name are shared so; both versions are held. Requests that were
  // resolved before keep their version. A version whose share is zero need not be ready.
  // Failures: failed_precondition when one that gets requests is not ready.
  virtual Status publish_split(const routing::Split& split) = 0;
  // The name has no split from now on, and `version` is live, also after a restart. Idempotent.
  // The version need not be ready (it may be the only one left). Failures: not_found, and what
  // keeps it from being recorded (tried again by the next tick).
  virtual Status set_live(std::string_view name, std::string_view version) = 0;

  // A reading of the version's counters; they may start again at zero when it is loaded anew.
  virtual observe::Outcomes outcomes(std::string_view name, std::string_view version) = 0;

  // Runs the prompts on the version beside its requests, not counted in its outcomes. One run a
  // version at a time; a new one replaces an unfinished one. Failures: failed_precondition.
  virtual Status start_golden(std::string_view name,
                              std::string_view version,
                              std::span<const GoldenPrompt> prompts) = 0;
  // Empty while the run is under way.
  virtual std::optional<GoldenOutcome> golden_outcome(std::string_view name,
                                                      std::string_view version) = 0;
};

}  // namespace inferneo::manager
