#include "manager/manager_control.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/catalog.h"
#include "manager/rollout_controller.h"
#include "manager/version_host.h"

namespace inferneo::manager {
namespace {

// Abandonments that overtook their request are remembered up to here.
constexpr std::size_t kAbandonedEarlyCountMax = 4096;

std::string name_of_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path full = std::filesystem::weakly_canonical(path, error);
  if (error) full = path;
  return full.has_filename() ? full.filename().string() : full.parent_path().filename().string();
}

// What was freed goes back to the system, not to the allocator's lists.
void return_free_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

LifecycleOptions lifecycle_options(const ManagerOptions& options) {
  LifecycleOptions result;
  const MemorySources sources = options.memory_sources;
  result.budget_bytes = options.memory_budget_bytes != 0 ? options.memory_budget_bytes
                                                         : available_memory_bytes(sources);
  result.loaded_count_max = options.loaded_count_max;
  result.eviction = options.eviction;
  result.job_count_max = std::max(options.load_thread_count, 1);
  result.waiting_count_max = options.waiting_request_count_max;
  result.keep_alive = options.keep_alive;
  result.sleep_when_idle = options.sleep_when_idle;
  result.available_bytes = [sources] { return available_memory_bytes(sources); };
  return result;
}

}  // namespace

ManagerControl::ManagerControl(std::vector<const runtime::Runtime*> runtimes,
                               const Clock& process_clock,
                               ManagerOptions manager_options)
    : clock(process_clock),
      options(std::move(manager_options)),
      loader(std::move(runtimes), process_clock),
      metrics(options.metrics != nullptr ? *options.metrics : own_metrics),
      lifecycle(lifecycle_options(options)),
      bell(std::make_shared<ControlBell>()) {
  metrics.memory_budget_bytes.set(static_cast<double>(lifecycle.ledger().budget_bytes()));
  host = make_version_host(*this);
  unloaders = std::make_shared<TaskThreads>("unload", 1);
  loop = std::make_unique<ControlLoop>(
      clock, [this] { look(); }, [this] { return next_look(); });
  loaders = std::make_unique<TaskThreads>("load", std::max(options.load_thread_count, 1));
  const std::lock_guard lock(bell->mutex);
  bell->loop = loop.get();
}

// Why it waits: an engine must not be destroyed by one of its own threads, which would happen if
// the last lease were returned by a request that ends there.
ManagerControl::~ManagerControl() {
  const auto let_go = [this] {
    lifecycle.shut_down(now());
    look();
    has_ended = true;  // from now on models leave without the state machine
    for (auto& [id, record] : records) {
      record.served.reset();
      record.kept = {};
    }
    const std::lock_guard lock(directory_mutex);
    current = std::make_shared<const Directory>();
  };
  loop->run(let_go);
  loaders->stop();
  loop->run(let_go);
  // How long a request's last owner may take to let go of its lease after its engine has ended it.
  constexpr std::chrono::seconds kLeaseReturnTimeout{5};
  const auto deadline = std::chrono::steady_clock::now() + kLeaseReturnTimeout;
  while (bell->alive.load() > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  {
    const std::lock_guard lock(bell->mutex);
    bell->loop = nullptr;
  }
  loop->stop();
  unloaders->finish();
}

std::shared_ptr<const Directory> ManagerControl::directory() const {
  const std::lock_guard lock(directory_mutex);
  return current;
}

// Whoever lets go of the model last, it is torn down on a thread of ours, and then its memory is
// given back.
std::shared_ptr<ServedModel> ManagerControl::with_unloader(VersionId id,
                                                           std::shared_ptr<ServedModel> served) {
  bell->alive.fetch_add(1);
  ServedModel* const raw = served.get();
  auto unload = [this, id, bell_copy = bell, threads = unloaders, owner = std::move(served)](
                    ServedModel*) mutable {
    TaskThreads::Task task = [this, id, bell_copy, model = std::move(owner)]() mutable {
      model.reset();
      return_free_memory();
      bell_copy->post([this, id] {
        unload_generation.fetch_add(1);
        if (!has_ended && records.contains(id)) lifecycle.retired(id, now());
      });
      bell_copy->alive.fetch_sub(1);
    };
    if (!threads->post(task)) task();
  };
  return {raw, std::move(unload)};
}

// --- commands ---

Result<VersionId> ManagerControl::register_version(ModelOptions wanted) {
  if (wanted.name.empty()) wanted.name = name_of_path(wanted.path);
  if (wanted.version.empty()) wanted.version.assign(1, '1');
  RETURN_IF_ERROR(check_model_name(wanted.name));
  RETURN_IF_ERROR(check_model_version(wanted.version));
  if (aliases.contains(wanted.name)) {
    return already_exists(str("'", wanted.name, "' is an alias already"));
  }
  const VersionSpec spec{.name = wanted.name,
                         .version = wanted.version,
                         .pinned = wanted.pinned,
                         .keep_alive = wanted.keep_alive};
  ASSIGN_OR_RETURN(const VersionId id, lifecycle.add(spec, now()));
  Record& record = records[id];
  record.options = std::move(wanted);
  record.created_unix_seconds = unix_milliseconds_now() / 1000;
  record.use = std::make_shared<VersionUse>(clock, [bell_copy = bell] { bell_copy->poke(); });
  record.meter = std::make_shared<LoadMeter>();
  mark_changed(id);
  return id;
}

Status ManagerControl::add_resident(std::shared_ptr<ServedModel> served) {
  ModelOptions wanted;
  wanted.name = served->name;
  wanted.version = served->version.empty() ? "1" : served->version;
  RETURN_IF_ERROR(check_model_name(wanted.name));
  const VersionSpec spec{
      .name = wanted.name, .version = wanted.version, .pinned = true, .keep_alive = {}};
  const std::uint64_t bytes = served->model->info().memory.weight_bytes +
                              static_cast<std::uint64_t>(served->metrics->kv_bytes.value());
  ASSIGN_OR_RETURN(const VersionId id, lifecycle.add_resident(spec, bytes, now()));
  Record& record = records[id];
  record.options = std::move(wanted);
  record.created_unix_seconds = served->created_unix_seconds;
  record.use = std::make_shared<VersionUse>(clock, [bell_copy = bell] { bell_copy->poke(); });
  record.meter = std::make_shared<LoadMeter>();
  record.metrics = served->metrics;
  record.context_tokens_max = served->context_tokens_max;
  record.served = with_unloader(id, std::move(served));
  mark_changed(id);
  return ok_status();
}

Result<VersionId> ManagerControl::find(std::string_view target) const {
  ASSIGN_OR_RETURN(const Directory::Target found, directory()->resolve(target, nullptr));
  if (!records.contains(found.version->id)) return not_found("the model does not exist");
  return found.version->id;
}

void ManagerControl::load(VersionId id, bool may_evict, ModelManager::Done done) {
  if (Status status = lifecycle.load(id, may_evict, now()); !status.ok()) {
    done(std::move(status));
    return;
  }
  pending.push_back({Pending::Kind::kLoad, id, std::move(done)});
}

void ManagerControl::leave(VersionId id,
                           Keep keep,
                           Duration drain_timeout,
                           ModelManager::Done done) {
  if (Status status = lifecycle.unload(id, keep, drain_timeout, now()); !status.ok()) {
    done(std::move(status));
    return;
  }
  pending.push_back({Pending::Kind::kLeave, id, std::move(done)});
}

void ManagerControl::swap(VersionId to, bool unload_former, ModelManager::Done done) {
  mark_changed(to);
  if (Status status = lifecycle.swap(to, unload_former, now()); !status.ok()) {
    done(std::move(status));
    return;
  }
  pending.push_back({Pending::Kind::kSwap, to, std::move(done)});
}

Status ManagerControl::set_alias(std::string alias, std::string target) {
  RETURN_IF_ERROR(check_model_name(alias));
  ASSIGN_OR_RETURN(const ModelReference reference, parse_model_reference(target));
  if (!lifecycle.versions_of(alias).empty()) {
    return already_exists(str("a model is named '", alias, "' already"));
  }
  const bool exists = reference.version.empty()
                          ? !lifecycle.versions_of(reference.name).empty()
                          : lifecycle.find(reference.name, reference.version) != 0;
  if (!exists) return not_found(str("the model '", printable(target), "' does not exist"));
  aliases[std::move(alias)] = model_id(reference.name, reference.version);
  list_changed = true;
  return ok_status();
}

Status ManagerControl::remove_alias(std::string_view alias) {
  const auto found = aliases.find(alias);
  if (found == aliases.end()) {
    return not_found(str("the alias '", printable(alias), "' does not exist"));
  }
  aliases.erase(found);
  list_changed = true;
  return ok_status();
}

Status ManagerControl::follow_catalog() {
  if (options.catalog == nullptr) return ok_status();
  CHECK(options.options_of);
  const std::shared_ptr<const CatalogSnapshot> snapshot = options.catalog->snapshot();
  Status first;
  std::set<VersionId> kept;
  for (const auto& model : snapshot->models()) {
    Result<ModelOptions> wanted = options.options_of(*model);
    VersionId id = lifecycle.find(model->name, model->version);
    if (wanted.has_value()) {
      wanted->name = model->name;
      wanted->version = model->version;
      wanted->pinned = model->pinned;
    }
    if (id == 0 && wanted.has_value()) {
      Result<VersionId> added = register_version(*std::move(wanted));
      if (added.has_value()) {
        id = *added;
        records[id].created_unix_seconds = model->created_unix_ms / 1000;
        if (model->preload) load(id, false, [](const Status&) {});
      } else if (first.ok()) {
        first = std::move(added).error();
      }
    } else if (id != 0 && wanted.has_value()) {
      records[id].options = *std::move(wanted);  // of the next load
      lifecycle.set_pinned(id, model->pinned, now());
    } else if (first.ok()) {
      first = std::move(wanted).error().with_context(model_id(model->name, model->version));
    }
    if (id == 0) continue;
    records[id].from_catalog = true;
    kept.insert(id);
    mark_changed(id);
  }
  std::vector<VersionId> gone;
  for (const auto& [id, record] : records) {
    if (record.from_catalog && !kept.contains(id)) gone.push_back(id);
  }
  for (const VersionId id : gone) {
    mark_changed(id);
    lifecycle.remove(id, now());
  }
  for (const std::string& name : lifecycle.names()) {
    const std::string_view live = snapshot->live_version(name);
    const VersionId id = live.empty() ? 0 : lifecycle.find(name, std::string(live));
    // A swap or a rollout under way writes its own end into the catalog.
    if (id == 0 || id == lifecycle.live_of(name) || lifecycle.swap_of(name)) continue;
    if (routing.find(name) != nullptr) continue;
    mark_changed(id);
    lifecycle.set_live(id, now());
  }
  for (const std::string& alias : catalog_aliases) aliases.erase(alias);
  catalog_aliases.clear();
  for (const AliasRecord& alias : snapshot->aliases()) {
    aliases[alias.alias] = model_id(alias.name, alias.version);
    catalog_aliases.insert(alias.alias);
  }
  list_changed = true;
  return first;
}

void ManagerControl::wait_for_lease(ModelManager::WaitId id,
                                    VersionId version,
                                    std::string name,
                                    bool firm,
                                    Waiter waiter,
                                    TimePoint deadline) {
  if (abandoned_early.erase(id) > 0) return;
  waiter.began = now();
  waiters.emplace(id, std::move(waiter));
  changed_models.insert(name);
  lifecycle.wait(id, name, version, firm, deadline, now());
}

void ManagerControl::abandon(ModelManager::WaitId id) {
  const auto found = waiters.find(id);
  if (found == waiters.end()) {
    abandoned_early.insert(id);
    if (abandoned_early.size() > kAbandonedEarlyCountMax) {
      abandoned_early.erase(abandoned_early.begin());
    }
    return;
  }
  changed_models.insert(found->second.model);
  waiters.erase(found);
  lifecycle.abandon(id);
}

// --- the look ---

TimePoint ManagerControl::next_look() const {
  return std::min(lifecycle.next_tick(clock.now()), next_rollout_tick);
}

// How a pool does, from what its engine counts. Why 9 of 10: the head of the queue waits for all
// blocks of its prompt, so that some are always left.
void ManagerControl::sample_pool(Record& record, UseSample& sample) {
  constexpr double kFullShare = 0.9;
  const observe::ModelMetrics& counted = *record.metrics;
  const double blocks = counted.kv_blocks.value();
  if (blocks <= 0) return;
  const double share = counted.kv_blocks_used.value() / blocks;
  sample.kv_used_bytes = static_cast<std::uint64_t>(share * counted.kv_bytes.value());
  const std::uint64_t preemptions = counted.preemptions.value();
  const bool lost = preemptions > std::exchange(record.preemptions_seen, preemptions);
  sample.kv_is_short = lost || (share >= kFullShare && counted.requests_waiting.value() > 0);
}

void ManagerControl::sample_use() {
  for (auto& [id, record] : records) {
    if (record.served == nullptr) continue;
    const VersionUse::Reading reading = record.use->read();
    UseSample sample{.lease_count = reading.lease_count,
                     .request_count = reading.request_count,
                     .last_used = reading.last_used,
                     .keep_alive = reading.keep_alive};
    sample_pool(record, sample);
    lifecycle.use(id, sample, now());
  }
}

void ManagerControl::look() {
  sample_use();
  lifecycle.tick(now());
  if (rollout_tick && now() >= next_rollout_tick) {
    next_rollout_tick = now() + RolloutController::kTickInterval;
    rollout_tick();
  }
  for (;;) {
    std::vector<Action> actions = lifecycle.take_actions();
    if (actions.empty()) break;
    for (Action& action : actions) carry_out(action);
  }
  // Listings and requests see the outcome before whoever asked for it is told.
  if (list_changed || !changed_models.empty()) publish();
  for (auto& [ready, lease] : std::exchange(answers, {})) ready(std::move(lease));
  settle_pending();
  const bool wanted = lifecycle.wants_idle();
  if (wanted == idle_wanted) return;
  idle_wanted = wanted;
  for (const auto& [id, record] : records) record.use->call_when_idle(wanted);
  // One more look, for a lease that was returned before the flag was up.
  if (wanted) loop->poke();
}

// Tells those whose command has had its effect.
void ManagerControl::settle_pending() {
  std::vector<std::pair<ModelManager::Done, Status>> due;
  std::erase_if(pending, [&](Pending& entry) {
    std::optional<Status> outcome = outcome_of(entry);
    if (!outcome) return false;
    due.emplace_back(std::move(entry.done), *std::move(outcome));
    return true;
  });
  for (auto& [done, status] : due) done(std::move(status));
}

std::optional<Status> ManagerControl::outcome_of(const Pending& entry) const {
  using enum VersionState;
  if (!records.contains(entry.version)) {
    if (entry.kind == Pending::Kind::kLeave) return ok_status();
    return cancelled("the model was removed meanwhile");
  }
  const Lifecycle::View view = lifecycle.view(entry.version);
  switch (entry.kind) {
    case Pending::Kind::kLeave:
      if (view.state == kReady || view.state == kLoading || view.state == kWarming ||
          view.state == kDraining) {
        // Loaded again by a request that came meanwhile: it has left in between.
        return view.state == kDraining || view.reserved_bytes > 0 ? std::nullopt
                                                                  : std::optional(ok_status());
      }
      return ok_status();
    case Pending::Kind::kSwap:
      if (const auto swap = lifecycle.swap_of(*view.name); swap && swap->to == entry.version) {
        return std::nullopt;
      }
      if (!view.live) {
        return view.state == kFailed ? *view.failure : cancelled("the swap was given up");
      }
      [[fallthrough]];
    case Pending::Kind::kLoad:
      if (view.state == kReady) return ok_status();
      if (view.state == kFailed) return *view.failure;
      if (view.state == kLoading || view.state == kWarming || view.state == kDraining) {
        return std::nullopt;
      }
      return cancelled("the model was unloaded meanwhile");
  }
  return std::nullopt;
}

void ManagerControl::mark_changed(VersionId id) {
  const auto found = records.find(id);
  if (found != records.end()) changed_models.insert(found->second.options.name);
}

void ManagerControl::begin_drain() {
  if (draining.exchange(true, std::memory_order_acq_rel)) return;
  loop->post([this] { lifecycle.shut_down(now()); });
  for (const auto& model : directory()->models) {
    for (const auto& entry : model->versions) {
      if (entry->served != nullptr) entry->served->engine->begin_drain();
    }
  }
}

}  // namespace inferneo::manager
