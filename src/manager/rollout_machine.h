// One rollout: its phases and what leads from one to the next. Every step is saved before it takes
// effect, except the way back: giving everything to the stable version never waits for a disk.
//
//   loading -> validating -> [before_stage -> settling -> (extended) -> after_stage] x stages
//           -> completing -> completed
//   any of these -> rolling_back -> rolled_back | aborted | failed
//
// Invariant: the stable version is held from the first step to the terminal one.
// Invariant: the published share only grows from stage to stage, or falls to zero.
// Thread: one (control, with the controller's lock). Ownership: borrows the environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "manager/rollout_controller.h"
#include "manager/rollout_gates.h"

namespace inferneo::manager {

class RolloutMachine {
 public:
  RolloutMachine(const RolloutEnvironment& environment, RolloutRecord record);

  // A new rollout: saves it and begins to load. Failures: those of the store and of hold(); the
  // machine is then terminal and nothing was changed.
  Status begin();
  // One from the store: goes on or back as its policy says.
  void take_up();
  void tick();

  Status pause(std::string reason);
  Status resume();
  Status promote(bool fully);
  Status abort(std::string reason);

  [[nodiscard]] RolloutStatus status() const;
  [[nodiscard]] const RolloutRecord& record() const { return record_; }
  // Whether the store knows of it: whether a restart would find it.
  [[nodiscard]] bool is_saved() const { return is_saved_; }
  [[nodiscard]] bool is_done() const { return is_terminal(record_.phase); }

 private:
  struct Call {  // of a webhook
    std::uint64_t id = 0;
    Webhook hook;
  };

  // Steps of tick().
  void load();
  void validate();
  void settle();
  void extend();
  void complete();
  void roll_back();
  // Whether everything that must hold while the candidate gets requests holds; else leaves.
  bool watch();
  // True when all required calls have succeeded; a failed one fails the rollout.
  bool await_hooks();

  void enter_next_stage();
  void publish_stage();
  void stage_passed(std::string_view verdict);
  void fail(std::string reason, RolloutPhase outcome = RolloutPhase::kRolledBack);
  void begin_rollback(RolloutPhase outcome, std::string reason);
  void finish(RolloutPhase phase);
  void decide_inconclusive();
  bool start_golden();
  // Empty while under way; a run that takes too long is a failed one.
  std::optional<GoldenOutcome> golden_outcome();
  // Whether there are calls to wait for.
  bool call_hooks(Webhook::When when);

  // Saves `next` and makes it the record; false when it could not be saved (tried again by the next
  // tick).
  bool commit(RolloutRecord next, std::string event);
  void note(RolloutRecord& record, std::string text) const;
  void tell();
  void set_phase(RolloutPhase phase);
  [[nodiscard]] Readings read() const;
  [[nodiscard]] routing::Split split(std::int32_t percent) const;
  [[nodiscard]] std::int32_t stage_percent(std::int32_t stage) const;
  [[nodiscard]] bool is_last_stage() const;
  [[nodiscard]] bool takes_requests() const;
  [[nodiscard]] Duration phase_age() const { return observed_ - phase_began_; }

  const RolloutEnvironment& environment_;
  VersionHost& host_;
  RolloutRecord record_;
  RolloutGates gates_;
  // Time as far as ticks saw it: while the process stands still no time-out runs and nothing
  // settles.
  Duration observed_{};
  TimePoint ticked_at_{};
  Duration phase_began_{};
  Duration stage_began_{};
  std::int32_t looks_left_ = 0;  // of an extended validation
  Duration looked_at_{};
  std::vector<Call> calls_;
  bool golden_runs_ = false;
  // After a restart the stage of the record is entered again, also while paused.
  bool takes_up_ = false;
  bool published_back_ = false;
  bool is_saved_ = false;
  bool is_live_ = false;       // the candidate, on record: there is no way back any more
  std::string store_failure_;  // why the last save failed; empty when it did not
  std::size_t told_ = 0;       // events of the history that the observer has been told
};

}  // namespace inferneo::manager
