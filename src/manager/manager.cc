#include "manager/manager.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/catalog_record.h"
#include "manager/directory.h"
#include "manager/manager_control.h"
#include "manager/rollout_controller.h"
#include "manager/version_host.h"

namespace inferneo::manager {
namespace {

// A command's end, for those who wait for it on their own thread.
class Waiting {
 public:
  ModelManager::Done done() {
    return [this](Status status) { promise_.set_value(std::move(status)); };
  }
  Status wait() { return promise_.get_future().get(); }

 private:
  std::promise<Status> promise_;
};

}  // namespace

struct ModelManager::Impl : ManagerControl {
  using ManagerControl::ManagerControl;

  // `command` runs on the control thread with the id of the target.
  template <typename Command>
  void with_target(std::string_view target, Done done, Command command) {
    loop->post([this,
                name = std::string(target),
                done = std::move(done),
                command = std::move(command)]() mutable {
      Result<VersionId> id = find(name);
      if (!id.has_value()) {
        done(std::move(id).error());
        return;
      }
      command(*id, std::move(done));
    });
  }
  Status run(const std::function<Status()>& command) {
    Status status = unavailable("the server is shutting down");
    loop->run([&] { status = command(); });
    return status;
  }
};

ModelManager::ModelManager(std::vector<const runtime::Runtime*> runtimes,
                           const Clock& clock,
                           ManagerOptions options)
    : impl_(std::make_unique<Impl>(std::move(runtimes), clock, std::move(options))) {}

ModelManager::~ModelManager() { drain(Duration::zero()); }

// --- the list ---

Status ModelManager::add(const ModelOptions& options, runtime::Progress progress) {
  VersionId id = 0;
  std::string label;
  Waiting waiting;
  const Status registered = impl_->run([&]() -> Status {
    ASSIGN_OR_RETURN(id, impl_->register_version(options));
    ManagerControl::Record& record = impl_->records.at(id);
    label = record.options.name;
    record.progress = std::move(progress);
    impl_->load(id, false, waiting.done());
    return ok_status();
  });
  if (!registered.ok()) return registered;
  Status status = waiting.wait();
  if (status.ok()) return status;
  impl_->loop->run([&] {
    impl_->mark_changed(id);
    if (impl_->records.contains(id)) impl_->lifecycle.remove(id, impl_->now());
  });
  return std::move(status).with_context(str("model '", label, "'"));
}

Status ModelManager::add(std::shared_ptr<ServedModel> served) {
  CHECK(served != nullptr && served->model != nullptr && served->engine != nullptr &&
        served->metrics != nullptr);
  return impl_->run([&] { return impl_->add_resident(std::move(served)); });
}

Status ModelManager::register_version(const ModelOptions& options) {
  return impl_->run([&] { return impl_->register_version(options).status(); });
}

Status ModelManager::remove(std::string_view name, std::string_view version) {
  return impl_->run([&]() -> Status {
    bool found = false;
    for (const VersionId id : impl_->lifecycle.versions_of(std::string(name))) {
      const Lifecycle::View view = impl_->lifecycle.view(id);
      if (!version.empty() && *view.version != version) continue;
      found = true;
      impl_->mark_changed(id);
      impl_->lifecycle.remove(id, impl_->now());
    }
    if (found) return ok_status();
    return not_found(str("the model '", printable(model_id(name, version)), "' does not exist"));
  });
}

Status ModelManager::follow_catalog() {
  return impl_->run([&] { return impl_->follow_catalog(); });
}

// --- commands ---

void ModelManager::load(std::string_view target, Done done) {
  impl_->with_target(target, std::move(done), [this](VersionId id, Done end) {
    impl_->load(id, true, std::move(end));
  });
}

Status ModelManager::load(std::string_view target) {
  Waiting waiting;
  load(target, waiting.done());
  return waiting.wait();
}

void ModelManager::unload(std::string_view target, Duration drain_timeout, Done done) {
  impl_->with_target(target, std::move(done), [this, drain_timeout](VersionId id, Done end) {
    impl_->leave(id, Keep::kNothing, drain_timeout, std::move(end));
  });
}

Status ModelManager::unload(std::string_view target, Duration drain_timeout) {
  Waiting waiting;
  unload(target, drain_timeout, waiting.done());
  return waiting.wait();
}

void ModelManager::sleep(std::string_view target, Done done) {
  impl_->with_target(target, std::move(done), [this](VersionId id, Done end) {
    impl_->leave(id, Keep::kFiles, limits::kRequestTimeout, std::move(end));
  });
}

Status ModelManager::sleep(std::string_view target) {
  Waiting waiting;
  sleep(target, waiting.done());
  return waiting.wait();
}

void ModelManager::swap(std::string_view name,
                        std::string_view version,
                        bool unload_former,
                        Done done) {
  impl_->loop->post([this,
                     label = std::string(name),
                     wanted = std::string(version),
                     unload_former,
                     done = std::move(done)]() mutable {
    const VersionId id = impl_->lifecycle.find(label, wanted);
    if (id == 0) {
      done(not_found(str("the model '", printable(model_id(label, wanted)), "' does not exist")));
      return;
    }
    impl_->swap(id, unload_former, std::move(done));
  });
}

Status ModelManager::swap(std::string_view name, std::string_view version, bool unload_former) {
  Waiting waiting;
  swap(name, version, unload_former, waiting.done());
  return waiting.wait();
}

Status ModelManager::set_pinned(std::string_view target, bool pinned) {
  return impl_->run([&]() -> Status {
    ASSIGN_OR_RETURN(const VersionId id, impl_->find(target));
    impl_->lifecycle.set_pinned(id, pinned, impl_->now());
    impl_->mark_changed(id);
    return ok_status();
  });
}

Status ModelManager::set_keep_alive(std::string_view target, std::optional<Duration> keep_alive) {
  return impl_->run([&]() -> Status {
    ASSIGN_OR_RETURN(const VersionId id, impl_->find(target));
    impl_->lifecycle.set_keep_alive(id, keep_alive, impl_->now());
    return ok_status();
  });
}

Status ModelManager::set_version_policy(std::string_view name, const VersionPolicy& policy) {
  return impl_->run([&]() -> Status {
    const std::string label(name);
    if (impl_->lifecycle.versions_of(label).empty()) {
      return not_found(str("the model '", printable(name), "' does not exist"));
    }
    impl_->lifecycle.set_policy(label, policy, impl_->now());
    impl_->changed_models.insert(label);
    return ok_status();
  });
}

Status ModelManager::set_alias(std::string_view alias, std::string_view target) {
  return impl_->run([&] { return impl_->set_alias(std::string(alias), std::string(target)); });
}

Status ModelManager::remove_alias(std::string_view alias) {
  return impl_->run([&] { return impl_->remove_alias(alias); });
}

// --- requests ---

Result<std::optional<Lease>> ModelManager::try_acquire(const LeaseRequest& request) const {
  const std::shared_ptr<const Directory> directory = impl_->directory();
  ASSIGN_OR_RETURN(const Directory::Target target,
                   directory->resolve(request.model, request.subject));
  const VersionEntry& entry = *target.version;
  if (entry.served != nullptr) {
    return std::optional(Lease(entry.served, entry.use, request.keep_alive));
  }
  if (impl_->draining.load(std::memory_order_acquire)) {
    return unavailable("the server is shutting down");
  }
  return std::optional<Lease>();
}

Result<Lease> ModelManager::acquire(std::string_view name) const {
  ASSIGN_OR_RETURN(
      std::optional<Lease> lease,
      try_acquire(
          {.model = std::string(name), .keep_alive = {}, .deadline = {}, .subject = nullptr}));
  if (lease.has_value()) return *std::move(lease);
  return unavailable(str("the model '", printable(name), "' is not loaded")).with_where("model");
}

ModelManager::WaitId ModelManager::make_wait_id() { return impl_->last_wait_id.fetch_add(1) + 1; }

void ModelManager::wait_for_lease(WaitId id,
                                  const LeaseRequest& request,
                                  UniqueFunction<void(Result<Lease>)> ready) {
  const std::shared_ptr<const Directory> directory = impl_->directory();
  const Result<Directory::Target> target = directory->resolve(request.model, request.subject);
  if (!target.has_value()) {
    ready(target.error());
    return;
  }
  const bool is_live = target->version == target->model->live;
  const TimePoint deadline = request.deadline.value_or(impl_->now() + impl_->options.wait_timeout);
  // Who asks for the live version gets whatever is live by then.
  const VersionId version = is_live && !target->names_version ? 0 : target->version->id;
  impl_->loop->post([this,
                     id,
                     version,
                     name = target->model->name,
                     firm = target->names_version,
                     ready = std::move(ready),
                     keep_alive = request.keep_alive,
                     deadline]() mutable {
    impl_->wait_for_lease(
        id,
        version,
        name,
        firm,
        {.ready = std::move(ready), .keep_alive = keep_alive, .began = {}, .model = name},
        deadline);
  });
}

void ModelManager::abandon(WaitId id) {
  impl_->loop->post([this, id] { impl_->abandon(id); });
}

// --- listings ---

std::vector<std::shared_ptr<const ServedModel>> ModelManager::list() const {
  const std::shared_ptr<const Directory> directory = impl_->directory();
  std::vector<const VersionEntry*> entries;
  for (const auto& model : directory->models) {
    for (const auto& entry : model->versions) {
      if (entry->served != nullptr) entries.push_back(entry.get());
    }
  }
  std::sort(
      entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  std::vector<std::shared_ptr<const ServedModel>> models;
  for (const VersionEntry* entry : entries) models.push_back(entry->served);
  return models;
}

std::vector<VersionInfo> ModelManager::versions() const {
  const std::shared_ptr<const Directory> directory = impl_->directory();
  const TimePoint now = impl_->now();
  std::vector<VersionInfo> all;
  for (const auto& model : directory->models) {
    for (const auto& entry : model->versions) all.push_back(read_info(*entry, now));
  }
  return all;
}

std::vector<AliasInfo> ModelManager::aliases() const { return impl_->directory()->aliases; }

Result<VersionInfo> ModelManager::find(std::string_view target) const {
  const std::shared_ptr<const Directory> directory = impl_->directory();
  ASSIGN_OR_RETURN(const Directory::Target found, directory->resolve(target, nullptr));
  return read_info(*found.version, impl_->now());
}

MemoryInfo ModelManager::memory() const {
  MemoryInfo info;
  info.budget_bytes = impl_->lifecycle.ledger().budget_bytes();  // never changes
  info.reserved_bytes = impl_->reserved_bytes.load();
  info.resident_bytes = resident_memory_bytes();
  info.available_bytes = available_memory_bytes(impl_->options.memory_sources);
  info.loaded_count = impl_->loaded_count.load();
  info.loaded_count_max = impl_->options.loaded_count_max;
  return info;
}

ModelManager::Counts ModelManager::counts() const {
  Counts counts;
  counts.loads_ok = impl_->loads_ok.load();
  counts.loads_failed = impl_->loads_failed.load();
  counts.evictions = impl_->evictions.load();
  counts.requests_waited = impl_->requests_waited.load();
  counts.load_seconds_total = static_cast<double>(impl_->load_ms_total.load()) / 1e3;
  counts.requests = impl_->requests_forgotten.load();
  for (const VersionInfo& version : versions()) counts.requests += version.request_count;
  return counts;
}

ModelManager::Health ModelManager::health() const {
  Health health;
  health.ready = true;
  health.live = true;
  const std::shared_ptr<const Directory> directory = impl_->directory();
  if (impl_->draining.load(std::memory_order_acquire)) {
    health.ready = false;
    health.reason = "draining";
  } else if (impl_->shutdown_announced.load(std::memory_order_acquire)) {
    health.ready = false;
    health.reason = "shutting down";
  } else if (directory->models.empty()) {
    health.ready = false;
    health.reason = "no model is loaded";
  }
  bool can_serve = directory->models.empty();
  for (const auto& model : directory->models) {
    for (const auto& entry : model->versions) {
      if (entry->info.state != VersionState::kFailed) can_serve = true;
      if (entry->served == nullptr) continue;
      const engine::EngineHealth engine = entry->served->engine->health();
      if (engine.draining && health.ready) {
        health.ready = false;
        health.reason = str("model '", model->name, "' is draining");
      }
      if (!engine.work_pending) continue;
      health.last_progress_age = std::max(health.last_progress_age, engine.last_progress_age);
      const auto seconds =
          std::chrono::duration_cast<std::chrono::seconds>(engine.last_progress_age).count();
      if (engine.last_progress_age > limits::kEngineStallReadyTimeout && health.ready) {
        health.ready = false;
        health.reason =
            str("model '", model->name, "' has work but finished no step for ", seconds, " s");
      }
      if (engine.last_progress_age > limits::kEngineStallLiveTimeout) health.live = false;
    }
  }
  if (!can_serve && health.ready) {
    health.ready = false;
    health.reason = "every model has failed to load";
  }
  return health;
}

VersionHost& ModelManager::version_host() { return *impl_->host; }

void ModelManager::run_on_control(std::function<void()> tick) {
  impl_->loop->run([&] {
    impl_->next_rollout_tick = tick ? impl_->now() : TimePoint::max();
    impl_->rollout_tick = std::move(tick);
  });
}

void ModelManager::call_on_control(const std::function<void()>& task) {
  impl_->loop->is_own_thread() ? task() : impl_->loop->run(task);
}

// --- the end ---

void ModelManager::announce_shutdown() {
  impl_->shutdown_announced.store(true, std::memory_order_release);
}

void ModelManager::begin_drain() { impl_->begin_drain(); }

bool ModelManager::drain(Duration timeout) {
  begin_drain();
  const TimePoint deadline = impl_->now() + timeout;
  bool complete = true;
  for (const auto& served : list()) {
    const Duration left = std::max(deadline - impl_->now(), Duration::zero());
    complete = served->engine->drain(left) && complete;
  }
  return complete;
}

bool ModelManager::is_loading() const { return impl_->loaders->count() > 0; }

}  // namespace inferneo::manager
