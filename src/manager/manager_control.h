// What the control thread of the manager owns: the state machine, what it decides about, and the
// carrying out of its actions. Everything here is the inside of manager.h: commands and looks in
// manager_control.cc, actions in manager_actions.cc, what others see of it in manager_notices.cc.
// Thread: control, except where a method says otherwise.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "manager/control_loop.h"
#include "manager/directory.h"
#include "manager/lifecycle.h"
#include "manager/manager.h"
#include "manager/model_loader.h"
#include "manager/task_threads.h"

namespace inferneo::manager {

// How other threads reach the control loop, also when the manager is gone already.
struct ControlBell {
  void poke() {
    const std::lock_guard lock(mutex);
    if (loop != nullptr) loop->poke();
  }
  bool post(ControlLoop::Task task) {
    const std::lock_guard lock(mutex);
    if (loop == nullptr) return false;
    loop->post(std::move(task));
    return true;
  }
  std::mutex mutex;
  ControlLoop* loop = nullptr;
  std::atomic<int> alive{0};  // served models that are not torn down yet
};

struct ManagerControl {
  ManagerControl(std::vector<const runtime::Runtime*> runtimes,
                 const Clock& process_clock,
                 ManagerOptions manager_options);
  ~ManagerControl();

  // What belongs to a registered version beside its place in the state machine.
  struct Record {
    ModelOptions options;
    std::int64_t created_unix_seconds = 0;
    std::shared_ptr<VersionUse> use;
    std::shared_ptr<LoadMeter> meter;
    std::shared_ptr<observe::ModelMetrics> metrics;  // made at the first load
    std::shared_ptr<ServedModel> served;             // while ready
    std::weak_ptr<ServedModel> leaving;              // while draining
    KeptModel kept;
    runtime::Progress progress;  // of the next load, beside the meter
    std::uint64_t measured_bytes = 0;
    std::uint64_t load_count = 0;  // that were counted
    std::uint64_t preemptions_seen = 0;
    std::int64_t loaded_unix_seconds = 0;
    std::int32_t context_tokens_max = 0;
    bool from_catalog = false;
  };

  // Somebody who waits for a command to have its effect.
  struct Pending {
    enum class Kind { kLoad, kLeave, kSwap };
    Kind kind = Kind::kLoad;
    VersionId version = 0;
    ModelManager::Done done;
  };

  struct Waiter {
    UniqueFunction<void(Result<Lease>)> ready;
    std::optional<Duration> keep_alive;
    TimePoint began{};
    std::string model;
  };

  // Commands.
  Result<VersionId> register_version(ModelOptions options);
  Status add_resident(std::shared_ptr<ServedModel> served);
  Result<VersionId> find(std::string_view target) const;
  void load(VersionId id, bool may_evict, ModelManager::Done done);
  void leave(VersionId id, Keep keep, Duration drain_timeout, ModelManager::Done done);
  void swap(VersionId to, bool unload_former, ModelManager::Done done);
  Status set_alias(std::string alias, std::string target);
  Status remove_alias(std::string_view alias);
  Status follow_catalog();
  // With `version` 0 for whatever is live; `firm` when the request named the version.
  void wait_for_lease(ModelManager::WaitId id,
                      VersionId version,
                      std::string name,
                      bool firm,
                      Waiter waiter,
                      TimePoint deadline);
  void abandon(ModelManager::WaitId id);

  // Carries out what the state machine has decided, until it is content. After each batch.
  void look();
  [[nodiscard]] TimePoint next_look() const;

  // Thread: any.
  [[nodiscard]] std::shared_ptr<const Directory> directory() const;
  void begin_drain();

  void sample_use();
  static void sample_pool(Record& record, UseSample& sample);
  void carry_out(Action& action);
  void plan(VersionId id);
  void read(const LoadVersion& action);
  void finish_read(VersionId id,
                   Result<std::unique_ptr<ServedModel>> served,
                   std::uint64_t measured);
  void retire(const RetireVersion& action);
  void resize_pool(const ResizePool& action);
  void pool_resized(VersionId id, std::int32_t block_count);
  void cancel_requests(VersionId id);
  void note_state(const NoteState& action);
  void note_ready(VersionId id, Record& record);
  void note_event(const NoteEvent& action);
  void grant(const GrantTicket& action);
  void refuse(RefuseTicket& action);
  void forget(VersionId id);
  void settle_pending();
  void publish();
  [[nodiscard]] std::optional<Status> outcome_of(const Pending& entry) const;
  [[nodiscard]] std::shared_ptr<const VersionEntry> entry_of(VersionId id) const;
  [[nodiscard]] std::shared_ptr<const ModelEntry> model_entry_of(const std::string& name) const;
  void publish_metrics();
  void emit(std::string kind, VersionId id, std::string detail);
  [[nodiscard]] Status public_failure(VersionId id, const Status& status) const;
  [[nodiscard]] std::shared_ptr<ServedModel> with_unloader(VersionId id,
                                                           std::shared_ptr<ServedModel> served);
  void mark_changed(VersionId id);
  [[nodiscard]] TimePoint now() const { return clock.now(); }

  const Clock& clock;
  const ManagerOptions options;
  const ModelLoader loader;
  std::set<ModelManager::WaitId> abandoned_early;  // their request is still to come
  observe::ServerMetrics own_metrics;              // where nobody else wants them
  observe::ServerMetrics& metrics;
  Lifecycle lifecycle;

  std::map<VersionId, Record> records;
  std::map<std::string, std::string, std::less<>> aliases;
  std::set<std::string> catalog_aliases;
  routing::RoutingTable routing;
  std::unordered_map<ModelManager::WaitId, Waiter> waiters;
  std::vector<Pending> pending;
  // For those who waited; given after the next publication, which shows why.
  std::vector<std::pair<UniqueFunction<void(Result<Lease>)>, Result<Lease>>> answers;
  std::set<std::string> changed_models;
  bool list_changed = false;
  bool has_ended = false;
  bool idle_wanted = false;  // a load waits for a lease to be returned
  std::function<void()> rollout_tick;
  TimePoint next_rollout_tick = TimePoint::max();

  // Counters for those who ask from other threads.
  std::atomic<std::uint64_t> loads_ok{0};
  std::atomic<std::uint64_t> loads_failed{0};
  std::atomic<std::uint64_t> evictions{0};
  std::atomic<std::uint64_t> requests_waited{0};
  std::atomic<std::uint64_t> requests_forgotten{0};  // of versions that were removed
  std::atomic<std::uint64_t> load_ms_total{0};
  std::atomic<std::uint64_t> reserved_bytes{0};
  std::atomic<std::int32_t> loaded_count{0};
  std::atomic<std::uint64_t> unload_generation{0};

  std::atomic<bool> shutdown_announced{false};
  std::atomic<bool> draining{false};
  std::atomic<ModelManager::WaitId> last_wait_id{0};

  // Why a lock around one pointer copy: libstdc++ 12's atomic<shared_ptr> unlocks its load with
  // relaxed order, which is a data race (ThreadSanitizer reports it).
  mutable std::mutex directory_mutex;
  std::shared_ptr<const Directory> current = std::make_shared<const Directory>();

  const std::shared_ptr<ControlBell> bell;
  std::unique_ptr<VersionHost> host;
  // In order of use: each ends before what it uses goes away.
  std::shared_ptr<TaskThreads> unloaders;
  std::unique_ptr<ControlLoop> loop;
  std::unique_ptr<TaskThreads> loaders;
};

std::int64_t unix_milliseconds_now();

// The manager's side of rollouts (rollout_host.cc).
std::unique_ptr<VersionHost> make_version_host(ManagerControl& control);

}  // namespace inferneo::manager
