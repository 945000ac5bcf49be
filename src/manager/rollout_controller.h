// Shifts the requests of a name from its live version to another in stages, watches both, and puts
// everything back when the new one is worse. The stable version stays warm until the rollout has
// ended, so that going back is one published weight.
// Thread: any; one lock, held for microseconds plus one save of the record (decisions are
// durable before they take effect). All work is done on the control thread, which calls tick() and
// runs what the other methods hand it. Nothing waits for loads, prompts or webhooks: they run
// elsewhere and are asked about.
// Ownership: borrows everything in RolloutEnvironment, which must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "manager/rollout.h"
#include "manager/version_host.h"

namespace inferneo::manager {

// Keeps rollouts over a crash. Called with the controller's lock held.
class RolloutStore {
 public:
  virtual ~RolloutStore() = default;
  // Durable when it returns ok; replaces the record of the same id. Failures: the rollout stops
  // advancing and says so, until a save works again.
  virtual Status save(const RolloutRecord& record) = 0;
  // All that are not terminal, and the terminal ones that are still remembered.
  virtual Result<std::vector<RolloutRecord>> load() = 0;
};

// Sends webhooks; never blocks.
class RolloutHooks {
 public:
  virtual ~RolloutHooks() = default;
  // Begins to POST `body` to `url`, with time-outs and bounded retries of its own. The number names
  // the call in outcome().
  virtual std::uint64_t post(const std::string& url, std::string body) = 0;
  // Empty while under way; given once.
  virtual std::optional<Status> outcome(std::uint64_t call) = 0;
};

// Is told each event, on the thread that caused it, with the lock held: it must not call back.
class RolloutObserver {
 public:
  virtual ~RolloutObserver() = default;
  virtual void on_event(const RolloutRecord& record, const RolloutEvent& event) = 0;
};

struct RolloutEnvironment {
  VersionHost* host = nullptr;
  RolloutStore* store = nullptr;
  const Clock* clock = nullptr;
  std::int64_t (*unix_ms)() = nullptr;
  RolloutHooks* hooks = nullptr;        // may be null: webhooks are then refused
  RolloutObserver* observer = nullptr;  // may be null
  // Runs a task on the control thread, where the host's methods may be called, and returns when it
  // has run; on that thread itself, at once. None: the caller's thread is as good.
  std::function<void(const std::function<void()>&)> on_control;
};

class RolloutController {
 public:
  explicit RolloutController(const RolloutEnvironment& environment);
  ~RolloutController();
  RolloutController(const RolloutController&) = delete;
  RolloutController& operator=(const RolloutController&) = delete;

  // Reads the store and takes up what was under way: each rollout goes on at the beginning of its
  // stage, or is rolled back, as its policy says. Once, before the first tick() and once the host
  // knows the names; a version that is gone rolls back.
  Status restore();

  // How often to call tick(): decisions are at most this late.
  static constexpr std::chrono::milliseconds kTickInterval{100};
  // Thread: control.
  void tick();

  // Starts a rollout and returns its id. Failures: not_found for the name or version,
  // already_exists while another rollout of the name is under way (naming it), invalid_argument
  // for the policy, failed_precondition when the candidate is live already.
  Result<std::int64_t> start(const RolloutRequest& request);
  // The same checks and numbers, without doing anything. Failures: not_found, invalid_argument.
  Result<RolloutPreview> preview(const RolloutRequest& request);

  // By name: of its rollout under way. Failures of these four: not_found when there is none,
  // failed_precondition when its phase does not allow it (saying which phase).
  // Keeps the share as it is; gates go on and may still roll back.
  Status pause(std::string_view name, std::string reason);
  Status resume(std::string_view name);
  // Goes on to the next stage now, past what the gates lack; from the last stage it completes.
  // `fully` goes to the last stage at once. A paused rollout goes on.
  Status promote(std::string_view name, bool fully = false);
  // The stable version gets everything at once. Idempotent while rolling back.
  Status abort(std::string_view name, std::string reason);

  // Whether a rollout of the name is under way: its live version must then not be changed.
  [[nodiscard]] bool is_under_way(std::string_view name) const;
  // Of the name's rollout under way, or its last one. Failures: not_found.
  [[nodiscard]] Result<RolloutStatus> status(std::string_view name) const;
  [[nodiscard]] Result<RolloutStatus> status(std::int64_t id) const;
  // Latest first.
  [[nodiscard]] std::vector<RolloutStatus> list() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::manager
