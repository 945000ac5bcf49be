// What an operator does with models: register, load, unload, update, remove, pin, name, roll out.
// Each change is checked, written to the catalog, carried out by the manager, recorded in the audit
// with who asked for it, and told to those who watch. REST and the command line are thin over this.
// Without a manager it works on the catalog alone, as `inferneo models` does when no server runs.
//
// Thread: any. The methods wait for disks, and register_model for reading all files when it
// computes digests; call them from run(), whose tasks go one after the other on a thread of their
// own. Loads are never waited for there.
// Ownership: borrows everything in AdminEnvironment, which must outlive it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "manager/catalog.h"
#include "manager/manager.h"
#include "manager/model_files.h"
#include "manager/rollout.h"
#include "runtime/runtime.h"

namespace inferneo::manager {

class EventHub;
class RolloutController;

struct AdminEnvironment {
  Catalog* catalog = nullptr;
  ModelManager* manager = nullptr;        // may be null
  RolloutController* rollouts = nullptr;  // may be null
  EventHub* events = nullptr;             // may be null
  // A registration is planned by the runtime that would load it, so that what cannot be loaded is
  // refused at once. Empty: only the files are looked at.
  std::vector<const runtime::Runtime*> runtimes = {};
  std::function<runtime::LoadOptions(const ModelSettings&)> load_options = {};
  std::string model_root = {};    // empty: models may be anywhere
  bool root_for_clients = false;  // then clients register nothing without a model root
  // By name, an empty one for all others; what set_version_policy recorded comes before.
  std::map<std::string, VersionPolicy> version_policies = {};
};

struct RegisterRequest {
  ModelRegistration model;  // path as given; format and files are found
  std::vector<std::string> aliases = {};
  bool digests = true;  // compute them now
  // Asked when the files were found, and again when their digests are known.
  std::function<Status(const std::vector<ModelFile>&)> check_files = {};
  bool by_operator = false;  // the path is the operator's choice, not a client's
};

struct UpdateRequest {
  std::string name;
  std::string version;
  // At once instead of in stages.
  bool at_once = false;
  RolloutPolicy policy = {};
};

class ModelAdmin {
 public:
  explicit ModelAdmin(AdminEnvironment environment);
  ModelAdmin(const ModelAdmin&) = delete;
  ModelAdmin& operator=(const ModelAdmin&) = delete;
  ~ModelAdmin();

  // Ends the task that runs and drops all others, now and later: before the manager goes away.
  void stop();

  // Carries out a task on the administrator's thread. Failures: unavailable when
  // limits::kAdminTaskCountMax wait already, and after stop().
  Status run(UniqueFunction<void()> task);

  // Failures: those of find_model_files, of the runtime's plan (at "path"), of
  // Catalog::register_model.
  Result<std::shared_ptr<const ModelRecord>> register_model(RegisterRequest request,
                                                            const Actor& actor);
  // `target` here and below: "name" (its live version), "name:version" or an alias. A path is
  // looked at as for register_model. Failures: not_found, those of Catalog::change_model.
  Result<std::shared_ptr<const ModelRecord>> change_model(const std::string& target,
                                                          ModelChange change,
                                                          const Actor& actor);
  // A bare name removes all its versions. Requests on it end normally. Failures: those of
  // Catalog::remove_model; failed_precondition while a rollout moves the name.
  Status remove_model(const std::string& target, const Actor& actor);
  Status set_alias(const std::string& alias, const std::string& target, const Actor& actor);
  Status remove_alias(const std::string& alias, const Actor& actor);

  // These need a manager. `done` is called once, in a task of run().
  struct Loaded {
    bool was_loaded = false;  // nothing had to be done
    VersionInfo version;
  };
  using LoadDone = UniqueFunction<void(Result<Loaded>)>;
  // `force` unloads it first. Failures: as ModelManager::load.
  void load(const std::string& target, bool force, const Actor& actor, LoadDone done);
  using Done = UniqueFunction<void(Status)>;
  void unload(const std::string& target, const Actor& actor, Done done);
  void sleep(const std::string& target, const Actor& actor, Done done);
  // Recorded, and in force from now on. Failures: not_found, those of parse_version_policy.
  Status set_version_policy(const std::string& name, std::string_view policy, const Actor& actor);
  [[nodiscard]] VersionPolicy version_policy(std::string_view name) const;
  // The manager is told the policies of all names. After its list has changed other than by this.
  Status apply_version_policies();
  // Makes another version the live one, in stages or at once. Failures: not_found,
  // already_exists (another update of the name), invalid_argument, failed_precondition.
  // The result is the number of the rollout; 0 for an update at once, of which `done` hears.
  Result<std::int64_t> update(const UpdateRequest& request, const Actor& actor, Done done);
  enum class RolloutStep { kPause, kResume, kPromote, kPromoteFully, kAbort };
  Status step_rollout(const std::string& name,
                      RolloutStep step,
                      const std::string& reason,
                      const Actor& actor);

  // Of updates at once; rollouts are counted by their records.
  struct Counts {
    std::uint64_t updates_ok = 0;
    std::uint64_t updates_failed = 0;
    std::uint64_t load_hits = 0;  // load() of what was loaded
  };
  [[nodiscard]] Counts counts() const;

  [[nodiscard]] Catalog& catalog() const { return *environment_.catalog; }
  [[nodiscard]] RolloutController* rollouts() const { return environment_.rollouts; }
  [[nodiscard]] EventHub* events() const { return environment_.events; }
  // The record that a target stands for, or null.
  [[nodiscard]] std::shared_ptr<const ModelRecord> record_of(std::string_view target) const;

 private:
  class Worker;

  Result<FoundModel> find_and_plan(const std::string& path, const ModelSettings& settings) const;
  Result<const runtime::Runtime*> runtime_for(const std::string& path) const;
  // The manager's list follows the catalog's.
  Status follow();
  void leave(const std::string& target, bool sleeps, const Actor& actor, Done done);
  void tell(const Actor& actor,
            std::string_view action,
            const std::string& subject,
            const Status& result);
  void note(const Actor& actor,
            std::string_view action,
            const std::string& subject,
            std::string before,
            std::string after,
            const Status& result);
  Status check_not_moving(std::string_view name) const;

  const AdminEnvironment environment_;
  std::atomic<std::uint64_t> updates_ok_{0};
  std::atomic<std::uint64_t> updates_failed_{0};
  std::atomic<std::uint64_t> load_hits_{0};
  std::unique_ptr<Worker> worker_;  // last: its tasks use the rest
};

}  // namespace inferneo::manager
