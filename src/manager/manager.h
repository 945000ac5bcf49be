// The models of the process: registers them, loads them at the first request or when told, fits
// them into one memory budget, and lends them to requests. The gateway sees only this header and
// the leases it hands out.
//
// Requests read an immutable directory and take no lock of the control plane. Every change runs on
// one control thread: it drives the state machine of lifecycle.h, which decides; loads run on
// load-N threads, models are torn down on unload-0. docs/models.md says what an operator may rely
// on.
// Thread: any, except where a method says otherwise. Methods that change something wait for the
// control thread (microseconds; loads only where it says so) and must not be called on it.
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
#include "base/unique_function.h"
#include "engine/engine.h"
#include "manager/eviction.h"
#include "manager/memory.h"
#include "manager/served_model.h"
#include "manager/version_policy.h"
#include "manager/version_state.h"
#include "observe/metrics.h"
#include "routing/subject.h"
#include "runtime/runtime.h"

namespace inferneo::manager {

class Catalog;
class EventHub;
class RolloutController;
class VersionHost;
struct ModelRecord;

// What the manager needs to know of a version to load it.
struct ModelOptions {
  std::string name;     // empty: the last component of the path
  std::string version;  // empty: "1"
  std::string path;
  runtime::LoadOptions load;
  std::uint64_t kv_bytes = 0;    // size of the KV pool; 0 means a share of the memory that is free
  engine::EngineOptions engine;  // kv_block_count and name are filled in by the manager
  bool pinned = false;           // never evicted, never unloaded for being idle
  // How long it stays in memory without a request; none: as ManagerOptions says.
  std::optional<Duration> keep_alive;
  // Before each load, on its thread: that the files are still those that were registered. None:
  // they are taken as they are.
  std::function<Status()> verify;
};

struct ManagerOptions {
  // For all models together: weights, KV pools and workspaces. 0: what the machine and the control
  // groups grant when the manager is made.
  std::uint64_t memory_budget_bytes = 0;
  std::int32_t loaded_count_max = 0;  // 0: no limit
  EvictionOrder eviction = EvictionOrder::kCost;
  std::int32_t load_thread_count = 1;
  // Of one model, waiting for a load; more are refused (resource_exhausted).
  std::int32_t waiting_request_count_max = limits::kModelWaitingRequestCountMax;
  Duration wait_timeout = limits::kModelWaitTimeout;
  // How long a model stays in memory without a request; kKeepForever: until memory is needed.
  Duration keep_alive = kKeepForever;
  bool sleep_when_idle = false;  // then it sleeps instead of being unloaded
  // May be null. They outlive the manager.
  observe::ServerMetrics* metrics = nullptr;
  EventHub* events = nullptr;
  Catalog* catalog = nullptr;
  // How a record of the catalog is to be loaded. Needed with a catalog.
  std::function<Result<ModelOptions>(const ModelRecord&)> options_of;
  MemorySources memory_sources = {};
};

// A registered version as listings show it.
struct VersionInfo {
  std::string name;
  std::string version;
  std::string path;
  VersionState state = VersionState::kRegistered;
  std::string reason;  // of a failure, or what happens now ("waiting for memory: ...")
  bool live = false;   // what the bare name stands for
  bool pinned = false;
  bool held = false;    // by a rollout
  bool served = false;  // requests may ask for it (version policy)
  std::int64_t created_unix_seconds = 0;
  std::int64_t loaded_unix_seconds = 0;  // of the last load that succeeded; 0: none yet
  std::int32_t context_tokens_max = 0;   // 0 until it was loaded once
  // Bytes. Planned before the load; reserved of the budget now; measured: growth of the process's
  // resident memory over the last load, 0 when other loads ran beside it.
  std::uint64_t planned_bytes = 0;
  std::uint64_t reserved_bytes = 0;
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes = 0;
  std::uint64_t workspace_bytes = 0;
  std::uint64_t measured_bytes = 0;
  std::uint64_t load_count = 0;
  std::uint64_t failure_count = 0;
  double load_seconds = 0;  // of the last load
  double loaded_share = 0;  // progress of the load under way, 0 to 1
  std::uint64_t request_count = 0;
  std::int32_t lease_count = 0;
  std::int32_t waiting_count = 0;  // requests that wait for the model to be ready
  std::optional<double> idle_seconds;
  // While it is in memory: until it leaves if no request comes; none: not before memory is needed.
  std::optional<double> expires_seconds;
  std::optional<double> retry_seconds;  // of a failed one: until a request tries again
  // Null until it was loaded once.
  std::shared_ptr<const observe::ModelMetrics> metrics;
  // Null unless it is in memory and serves. Keeps it there: let go of it soon.
  std::shared_ptr<const ServedModel> model;
};

// Another name for a model or a version of it.
struct AliasInfo {
  std::string alias;
  std::string target;  // "name" or "name:version"
};

struct MemoryInfo {
  std::uint64_t budget_bytes = 0;
  std::uint64_t reserved_bytes = 0;
  std::uint64_t resident_bytes = 0;   // of the process, as the system counts
  std::uint64_t available_bytes = 0;  // of the machine and the control groups
  std::int32_t loaded_count = 0;
  std::int32_t loaded_count_max = 0;
};

// What a request says about the model it wants.
struct LeaseRequest {
  std::string model;  // "name", "name:version" or an alias; empty: the only one registered
  std::optional<Duration> keep_alive;               // from now on, until another request says else
  std::optional<TimePoint> deadline;                // for the wait; none: wait_timeout from now
  const routing::SubjectSource* subject = nullptr;  // borrowed for the call
};

class ModelManager {
 public:
  // `runtimes` in order of preference; they and `clock` must outlive the manager.
  ModelManager(std::vector<const runtime::Runtime*> runtimes,
               const Clock& clock,
               ManagerOptions options = {});
  ~ModelManager();
  ModelManager(const ModelManager&) = delete;
  ModelManager& operator=(const ModelManager&) = delete;

  // Registers a version, loads it and waits until it serves; evicts nothing. On failure it is not
  // registered. Failures: as Runtime::load, already_exists, resource_exhausted with the bytes
  // needed and available.
  Status add(const ModelOptions& options, runtime::Progress progress = {});
  // Serves a model that is already in memory (tests, embedding). It is never evicted.
  Status add(std::shared_ptr<ServedModel> served);
  // Registers a version without loading it; the first version of a name is its live one.
  // Failures: already_exists, invalid_argument.
  Status register_version(const ModelOptions& options);
  // An empty version removes all of them. Requests on it end normally. Failures: not_found.
  Status remove(std::string_view name, std::string_view version);
  // Makes the list of versions, aliases, pins and live versions that of the catalog; to be called
  // after each change of it, and at the start. Versions that were not registered from the catalog
  // stay. Failures: those of options_of, after everything else was done.
  Status follow_catalog();

  // `target` below is "name" (its live version), "name:version" or an alias.
  // Failures of all: not_found.
  using Done = UniqueFunction<void(Status)>;  // called once, on the control thread
  // Loads (or wakes) and calls `done` when it serves or has failed. Failures: as add.
  void load(std::string_view target, Done done);
  Status load(std::string_view target);  // waits for it
  // Requests in flight finish; those that are still there after `drain_timeout` are cancelled.
  // A later request loads it again. failed_precondition while a rollout holds it.
  void unload(std::string_view target, Duration drain_timeout, Done done);
  Status unload(std::string_view target, Duration drain_timeout = limits::kRequestTimeout);
  // Gives back the KV pool, the workspace and all copies of weights; keeps the files mapped and
  // tokenizer and template in memory, so that the next request finds it soon.
  void sleep(std::string_view target, Done done);
  Status sleep(std::string_view target);
  // Makes `version` the live one of `name` once it is ready; then the former one drains and is
  // unloaded if the version policy no longer serves it or `unload_former` says so. When both do not
  // fit, the former is unloaded first (requests wait), which the events say. When the load fails
  // the former stays or comes back. Failures: as load; already_exists during another swap.
  void swap(std::string_view name, std::string_view version, bool unload_former, Done done);
  Status swap(std::string_view name, std::string_view version, bool unload_former = true);

  Status set_pinned(std::string_view target, bool pinned);
  Status set_keep_alive(std::string_view target, std::optional<Duration> keep_alive);
  Status set_version_policy(std::string_view name, const VersionPolicy& policy);
  // Failures: already_exists when a model has that name, invalid_argument.
  Status set_alias(std::string_view alias, std::string_view target);
  Status remove_alias(std::string_view alias);

  // A lease at once, or nothing when the model must be loaded first (see wait_for_lease).
  // Failures: not_found (the same for all unknown names), invalid_argument (no name and several
  // models), unavailable while draining, unsupported (version policy).
  Result<std::optional<Lease>> try_acquire(const LeaseRequest& request) const;
  // By name, only when it is in memory. Failures: as try_acquire, unavailable.
  Result<Lease> acquire(std::string_view name) const;

  using WaitId = std::uint64_t;
  [[nodiscard]] WaitId make_wait_id();
  // Starts the load if need be (one for all who wait) and calls `ready` once with the lease or the
  // reason why there is none, on the control thread: it must not block. Failures that `ready` gets:
  // those of try_acquire, unavailable (the load failed, with the reason; shutdown),
  // resource_exhausted (too many wait; no memory, with the numbers), deadline_exceeded.
  void wait_for_lease(WaitId id,
                      const LeaseRequest& request,
                      UniqueFunction<void(Result<Lease>)> ready);
  // The client has left: `ready` is dropped uncalled, unless it is just being called.
  void abandon(WaitId id);

  // Loaded models, in order of registration.
  [[nodiscard]] std::vector<std::shared_ptr<const ServedModel>> list() const;
  // All registered versions, sorted by name and then version.
  [[nodiscard]] std::vector<VersionInfo> versions() const;
  [[nodiscard]] std::vector<AliasInfo> aliases() const;
  // Failures: as try_acquire.
  [[nodiscard]] Result<VersionInfo> find(std::string_view target) const;
  [[nodiscard]] MemoryInfo memory() const;

  struct Counts {
    std::uint64_t loads_ok = 0;
    std::uint64_t loads_failed = 0;
    std::uint64_t evictions = 0;
    std::uint64_t requests = 0;         // leases given
    std::uint64_t requests_waited = 0;  // of those, after a wait for a load
    double load_seconds_total = 0;
  };
  [[nodiscard]] Counts counts() const;

  struct Health {
    bool ready = false;
    bool live = false;
    std::string reason;            // empty when ready
    Duration last_progress_age{};  // oldest over all engines with pending work
  };
  [[nodiscard]] Health health() const;

  // What rollouts drive. Its methods run on the control thread only.
  [[nodiscard]] VersionHost& version_host();
  // `tick` runs on the control thread every RolloutController::kTickInterval from now on; none: no
  // more.
  void run_on_control(std::function<void()> tick);
  // Runs `task` on the control thread and waits for it; there at once. Not at all after the end.
  void call_on_control(const std::function<void()>& task);

  // Readiness goes off; everything else goes on, so that those who send requests can look
  // elsewhere.
  void announce_shutdown();
  // Refuses new requests; blocks until all have ended or the timeout has passed.
  bool drain(Duration timeout);
  void begin_drain();
  // A load is being carried out, which cannot be interrupted.
  [[nodiscard]] bool is_loading() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::manager
