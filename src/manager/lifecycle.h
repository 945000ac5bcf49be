// The life of all versions of all models as one pure state machine: which version is loaded, when,
// into how much memory, what leaves for it, who waits for what, and which version a name stands
// for. It owns no model, thread, clock or file: events come in with their time, actions come out
// for the manager to carry out, and what it decides can be replayed and simulated.
//
//   request, load ──> [plan] ──> admit (evict, shrink, wait) ──> [load] ──> ready ──> [retire]
//                                                                           [resize]
//
// In brackets: actions, each answered later by planned(), loaded(), retired() or resized().
// Bound: what waits is bounded by LifecycleOptions; everything else by the registered versions.
// Thread: control. Ownership: value type.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "manager/eviction.h"
#include "manager/memory.h"
#include "manager/memory_ledger.h"
#include "manager/version_policy.h"
#include "manager/version_state.h"

namespace inferneo::manager {

using VersionId = std::uint32_t;  // never given twice; 0 is none
using TicketId = std::uint64_t;   // of a request that waits

// What loaded() reports: what the model and its pool really take.
struct LoadedSizes {
  std::uint64_t fixed_bytes = 0;
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes = 0;
};

// A sample of the data plane's counters (VersionUse::Reading).
struct UseSample {
  std::int32_t lease_count = 0;
  std::uint64_t request_count = 0;
  TimePoint last_used{};
  std::optional<Duration> keep_alive;
  std::uint64_t kv_used_bytes = 0;  // of its pool, by requests that run
  bool kv_is_short = false;  // since the last sample requests waited for blocks, or lost them
};

// What stays of a version that is retired.
enum class Keep : std::uint8_t {
  kNothing,
  kFiles,    // sleep: mapped files, tokenizer, template
  kWeights,  // only the engine goes, to come back with a pool of another size
};

struct PlanVersion {
  VersionId version = 0;
};
struct LoadVersion {
  VersionId version = 0;
  std::uint64_t kv_bytes = 0;
  std::uint64_t bytes_max = 0;     // weights, workspace and pool together
  std::uint64_t kv_bytes_max = 0;  // up to which its pool may be resized
};
// Its pool gets another size while it serves. Answered by resized(), or not at all when it is
// retired first.
struct ResizePool {
  VersionId version = 0;
  std::uint64_t kv_bytes = 0;
};
// Requests get it no more; when the last lease is back it is torn down.
struct RetireVersion {
  VersionId version = 0;
  Keep keep = Keep::kNothing;
};
struct CancelRequests {  // those in flight on a draining version: its time is up
  VersionId version = 0;
};
struct GrantTicket {
  TicketId ticket = 0;
  VersionId version = 0;
};
struct RefuseTicket {
  TicketId ticket = 0;
  Status status;
  VersionId failed = 0;  // set: its load has failed, with that status
};
// The version is gone from the list and from memory.
struct ForgetVersion {
  VersionId version = 0;
};
struct NoteState {
  VersionId version = 0;
  VersionState from = VersionState::kRegistered;
  VersionState to = VersionState::kRegistered;
  std::string reason;
};
// Anything else worth telling: kind "evicted", "shrunk", "grown", "live", "swap_failed", ...
struct NoteEvent {
  VersionId version = 0;
  std::string kind;
  std::string text;
};
using Action = std::variant<PlanVersion,
                            LoadVersion,
                            RetireVersion,
                            ResizePool,
                            CancelRequests,
                            GrantTicket,
                            RefuseTicket,
                            ForgetVersion,
                            NoteState,
                            NoteEvent>;

struct LifecycleOptions {
  std::uint64_t budget_bytes = 0;
  std::int32_t loaded_count_max = 0;  // 0: no limit
  EvictionOrder eviction = EvictionOrder::kCost;
  std::int32_t job_count_max = 1;        // plans and loads at the same time
  std::int32_t waiting_count_max = 256;  // tickets of one model
  Duration keep_alive = Duration::max();
  bool sleep_when_idle = false;
  // Memory that the system still has, asked at admission; none: the budget alone decides.
  std::function<std::uint64_t()> available_bytes;
};

struct VersionSpec {
  std::string name;
  std::string version;
  bool pinned = false;
  std::optional<Duration> keep_alive;
};

class Lifecycle {
 public:
  // How long a load waits for some model to be idle before it takes one that is busy.
  static constexpr Duration kBusyPatience = std::chrono::seconds(2);
  // How often a busy model that is to leave at once is looked at.
  static constexpr Duration kBusyLook = std::chrono::seconds(1);
  // A failed load is tried again by a request after this, doubled with each failure up to the max.
  static constexpr Duration kRetryDelayMin = std::chrono::seconds(1);
  static constexpr Duration kRetryDelayMax = std::chrono::minutes(2);
  // A pool grows when its model has been idle for this long, nothing waits, and it would double.
  static constexpr Duration kGrowIdle = std::chrono::seconds(30);
  // A pool of a busy model has a size for at least this long, so that two models do not hand the
  // same blocks to and fro.
  static constexpr Duration kResizePause = std::chrono::seconds(2);

  explicit Lifecycle(LifecycleOptions options);

  // The list. Failures: already_exists.
  Result<VersionId> add(const VersionSpec& spec, TimePoint now);
  // A version that is in memory already and stays there.
  Result<VersionId> add_resident(const VersionSpec& spec, std::uint64_t bytes, TimePoint now);
  // Drains it first when it is in memory; ForgetVersion follows.
  void remove(VersionId id, TimePoint now);
  void set_pinned(VersionId id, bool pinned, TimePoint now);
  void set_keep_alive(VersionId id, std::optional<Duration> keep_alive, TimePoint now);
  void set_policy(const std::string& name, const VersionPolicy& policy, TimePoint now);
  // Which version the name stands for, at once, loaded or not.
  void set_live(VersionId id, TimePoint now);
  // A rollout keeps it: loaded if it is not, neither evicted nor unloaded until released.
  Status hold(VersionId id, TimePoint now);
  void release(VersionId id, TimePoint now);

  // Commands. A load that evicts nothing fails where memory is short.
  Status load(VersionId id, bool may_evict, TimePoint now);
  // Failures: failed_precondition for a version that is held, or cannot be reloaded.
  Status unload(VersionId id, Keep keep, Duration drain_timeout, TimePoint now);
  Status swap(VersionId to, bool unload_former, TimePoint now);

  // Requests. With `version` 0 it waits for whatever is live. Answered by GrantTicket or
  // RefuseTicket, possibly at once. `firm` is for requests that named the version.
  void wait(TicketId ticket,
            const std::string& name,
            VersionId version,
            bool firm,
            TimePoint deadline,
            TimePoint now);
  void abandon(TicketId ticket);

  // Answers to actions.
  void planned(VersionId id, Result<VersionSizes> sizes, TimePoint now);
  void warming(VersionId id, TimePoint now);  // optional, in the middle of a load
  void loaded(VersionId id, Result<LoadedSizes> sizes, TimePoint now);
  void retired(VersionId id, TimePoint now);
  // `kv_bytes`: what its pool really has now.
  void resized(VersionId id, std::uint64_t kv_bytes, TimePoint now);

  // What the data plane has counted. Cheap; before each tick, of all ready versions.
  void use(VersionId id, const UseSample& sample, TimePoint now);
  void tick(TimePoint now);
  // When tick() is next needed without another event; TimePoint::max() for never.
  [[nodiscard]] TimePoint next_tick(TimePoint now) const;
  // Whether a load waits for some lease to be returned.
  [[nodiscard]] bool wants_idle() const;
  // No loads from now on; all who wait are refused.
  void shut_down(TimePoint now);

  [[nodiscard]] std::vector<Action> take_actions();

  // What listings show.
  struct Swap {
    VersionId from = 0;
    VersionId to = 0;
    bool unload_former = true;
    bool drain_first = false;  // both did not fit
  };
  struct View {
    VersionId id = 0;
    const std::string* name = nullptr;
    const std::string* version = nullptr;
    VersionState state = VersionState::kRegistered;
    const std::string* reason = nullptr;
    const Status* failure = nullptr;
    bool live = false;
    bool pinned = false;
    bool held = false;
    bool served = false;
    VersionSizes sizes;
    LoadedSizes loaded;
    std::uint64_t reserved_bytes = 0;
    std::uint64_t load_count = 0;
    std::uint64_t failure_count = 0;
    double load_seconds = 0;
    std::int32_t waiting_count = 0;
    TimePoint retry_at{};
    // How long it stays without a request unless requests say otherwise; max: pinned or held.
    Duration keep_alive = Duration::max();
  };
  [[nodiscard]] View view(VersionId id) const;
  [[nodiscard]] std::vector<VersionId> versions_of(const std::string& name) const;  // ascending
  [[nodiscard]] VersionId find(const std::string& name, const std::string& version) const;
  [[nodiscard]] VersionId live_of(const std::string& name) const;
  [[nodiscard]] std::optional<Swap> swap_of(const std::string& name) const;
  [[nodiscard]] const VersionPolicy* policy_of(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] const MemoryLedger& ledger() const { return ledger_; }
  [[nodiscard]] std::int32_t loaded_count() const;
  [[nodiscard]] std::array<std::int32_t, kVersionStateCount> state_counts() const;
  [[nodiscard]] std::int32_t waiting_count() const;
  [[nodiscard]] std::uint64_t eviction_count() const { return eviction_count_; }

  // The first invariant that does not hold; empty when all do. For tests and the simulation.
  [[nodiscard]] std::string broken_invariant() const;

 private:
  // What is being done for a version, within its state.
  enum class Phase : std::uint8_t {
    kIdle,
    kQueued,    // in queue_, not looked at
    kPlanning,  // PlanVersion is out
    kAdmitted,  // planned; waits in queue_ for memory
    kReading,   // LoadVersion is out
    kRetiring,  // RetireVersion is out
  };
  struct Version {
    VersionSpec spec;
    VersionState state = VersionState::kRegistered;
    Phase phase = Phase::kIdle;
    std::string reason;
    Status failure;
    bool resident = false;  // cannot be loaded again
    bool held = false;
    bool may_evict = true;      // of the load under way
    bool gone = false;          // forget it when it is out of memory
    bool unload_after = false;  // of a load under way: retire at once
    bool load_after = false;    // of a retirement under way: load again
    Keep keep = Keep::kNothing;
    std::uint64_t next_kv_bytes = 0;  // of a retirement that keeps the weights
    std::uint64_t resize_to = 0;      // ResizePool is out, with that
    std::uint64_t kv_capacity = 0;    // of the load
    TimePoint resized_at{};
    VersionSizes sizes;
    LoadedSizes loaded;
    UseSample use;
    Popularity popularity;
    TimePoint ready_at{};
    TimePoint load_began{};
    TimePoint memory_wait_began{};
    TimePoint drain_deadline{};
    TimePoint retry_at{};
    bool requests_cancelled = false;
    double load_seconds = 0;
    std::uint64_t load_count = 0;
    std::uint64_t failure_count = 0;  // in all
    std::uint32_t failures_in_row = 0;
  };
  struct Ticket {
    TicketId id = 0;
    VersionId version = 0;
    bool firm = false;
    TimePoint deadline{};
  };
  struct Model {
    std::vector<VersionId> versions;  // natural order
    VersionId live = 0;
    VersionPolicy policy;
    std::optional<Swap> swap;
    std::deque<Ticket> waiting;
  };

  [[nodiscard]] Version& at(VersionId id);
  [[nodiscard]] const Version& at(VersionId id) const;
  [[nodiscard]] Model& model_of(const Version& version);
  [[nodiscard]] const Model& model_of(const Version& version) const;
  [[nodiscard]] bool is_served(VersionId id) const;
  [[nodiscard]] static bool is_in_memory(const Version& version);
  [[nodiscard]] bool is_idle(const Version& version) const;
  [[nodiscard]] VersionId target_of(const Model& model, const Ticket& ticket) const;
  [[nodiscard]] bool is_wanted(VersionId id) const;
  [[nodiscard]] std::string label(const Version& version) const;

  Result<VersionId> insert(const VersionSpec& spec);
  void forget(VersionId id);
  void set_state(VersionId id, VersionState to, std::string reason);
  void note(VersionId id, std::string kind, std::string text);
  void want(VersionId id, bool may_evict);
  void enqueue(VersionId id);
  void give_up_load(VersionId id, TimePoint now);
  void retire(VersionId id, Keep keep, Duration drain_timeout, std::string reason, TimePoint now);
  void fail(VersionId id, Status status, TimePoint now);
  void finish_swap(Model& model, VersionId ready, TimePoint now);
  void fail_swap(Model& model, const Status& status, TimePoint now);
  void apply_policy(Model& model, TimePoint now);
  void settle(Model& model, TimePoint now);

  void pump(TimePoint now);
  void start_plans();
  void admit_head(TimePoint now);
  [[nodiscard]] std::uint64_t free_now() const;
  [[nodiscard]] bool count_allows(std::size_t& excess) const;
  [[nodiscard]] std::uint64_t choose_kv(const VersionSizes& sizes, std::uint64_t free) const;
  [[nodiscard]] std::uint64_t kv_capacity(const VersionSizes& sizes, std::uint64_t chosen) const;
  [[nodiscard]] std::uint64_t spare_kv(const Version& version) const;
  // In place, or by building engine and pool anew.
  [[nodiscard]] static bool may_resize(const Version& version);
  [[nodiscard]] static bool may_rebuild(const Version& version);
  bool note_pool_size(VersionId id, std::uint64_t kv_bytes, std::string_view why);
  void rebuild_pool(VersionId id, std::uint64_t kv_bytes, std::string_view why);
  void resize_pool(VersionId id, std::uint64_t kv_bytes, std::string_view why);
  void begin_load(VersionId id, std::uint64_t kv_bytes, TimePoint now);
  // Frees memory for `id`; false when nothing can be freed any more and nothing is on its way.
  bool make_room(VersionId id, std::uint64_t needed, std::size_t excess, TimePoint now);
  bool shrink_pools(VersionId id, std::uint64_t missing, TimePoint now);
  bool evict(VersionId id, std::uint64_t missing, std::size_t excess, bool busy, TimePoint now);
  bool drain_former(VersionId id, TimePoint now);
  [[nodiscard]] bool may_leave(VersionId candidate, VersionId for_whom) const;
  [[nodiscard]] std::uint64_t bytes_on_their_way(std::size_t& count) const;
  [[nodiscard]] Status no_room(VersionId id, std::uint64_t needed) const;
  void expire_tickets(TimePoint now);
  void expire_idle(TimePoint now);
  void expire_drains(TimePoint now);
  void grow_pools(TimePoint now);
  void grow_short_pool(VersionId id, TimePoint now);
  void grow_idle_pool(VersionId id, TimePoint now);
  [[nodiscard]] std::optional<Duration> time_to_live(const Version& version) const;

  LifecycleOptions options_;
  MemoryLedger ledger_;
  std::map<std::string, Model, std::less<>> models_;
  std::map<VersionId, Version> versions_;
  std::deque<VersionId> queue_;  // kQueued, kPlanning, kAdmitted; in the order of their first want
  VersionId last_id_ = 0;
  std::int32_t job_count_ = 0;
  std::uint64_t eviction_count_ = 0;
  bool shut_down_ = false;
  std::vector<Action> actions_;
};

}  // namespace inferneo::manager
