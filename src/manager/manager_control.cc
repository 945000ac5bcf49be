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
#include "manager/events.h"
#include "manager/rollout_controller.h"
#include "manager/version_host.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using ModelLoads = observe::ServerMetrics::model_loads_label;

// Abandonments that overtook their request are remembered up to here.
constexpr std::size_t kAbandonedEarlyCountMax = 4096;

std::int64_t unix_milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

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
  if (wanted.version.empty()) wanted.version = "1";
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

void ManagerControl::sample_use() {
  for (const auto& [id, record] : records) {
    if (record.served == nullptr) continue;
    const VersionUse::Reading reading = record.use->read();
    lifecycle.use(id,
                  {.lease_count = reading.lease_count,
                   .request_count = reading.request_count,
                   .last_used = reading.last_used,
                   .keep_alive = reading.keep_alive},
                  now());
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

void ManagerControl::carry_out(Action& action) {
  if (const auto* to_plan = std::get_if<PlanVersion>(&action)) return plan(to_plan->version);
  if (const auto* to_load = std::get_if<LoadVersion>(&action)) return read(*to_load);
  if (const auto* to_retire = std::get_if<RetireVersion>(&action)) return retire(*to_retire);
  if (const auto* to_cancel = std::get_if<CancelRequests>(&action)) {
    return cancel_requests(to_cancel->version);
  }
  if (const auto* to_grant = std::get_if<GrantTicket>(&action)) return grant(*to_grant);
  if (auto* to_refuse = std::get_if<RefuseTicket>(&action)) return refuse(*to_refuse);
  if (const auto* to_forget = std::get_if<ForgetVersion>(&action))
    return forget(to_forget->version);
  if (const auto* state = std::get_if<NoteState>(&action)) return note_state(*state);
  if (const auto* event = std::get_if<NoteEvent>(&action)) return note_event(*event);
}

void ManagerControl::plan(VersionId id) {
  const std::uint64_t budget = lifecycle.ledger().budget_bytes();
  loaders->post([this, id, budget, wanted = records.at(id).options] {
    auto sizes = std::make_shared<Result<VersionSizes>>(loader.plan(wanted, budget));
    loop->post([this, id, sizes] { lifecycle.planned(id, std::move(*sizes), now()); });
  });
}

void ManagerControl::read(const LoadVersion& action) {
  const VersionId id = action.version;
  Record& record = records.at(id);
  if (record.metrics == nullptr) record.metrics = std::make_shared<observe::ModelMetrics>();
  record.meter->done = 0;
  record.meter->total = 0;
  auto job = std::make_shared<LoadJob>();
  job->options = record.options;
  job->created_unix_seconds = record.created_unix_seconds;
  job->metrics = record.metrics;
  job->kept = std::exchange(record.kept, {});
  job->kv_bytes = action.kv_bytes;
  job->bytes_max = action.bytes_max;
  job->progress = [meter = record.meter, also = std::exchange(record.progress, {})](
                      std::uint64_t done, std::uint64_t total) mutable {
    meter->done.store(done, std::memory_order_relaxed);
    meter->total.store(total, std::memory_order_relaxed);
    if (also) also(done, total);
  };
  job->on_warming = [this, id] { loop->post([this, id] { lifecycle.warming(id, now()); }); };
  loaders->post([this, id, job] {
    const std::uint64_t before = resident_memory_bytes();
    const std::uint64_t generation = unload_generation.load();
    auto served =
        std::make_shared<Result<std::unique_ptr<ServedModel>>>(loader.load(std::move(*job)));
    const std::uint64_t after = resident_memory_bytes();
    const bool is_alone = loaders->count() == 1 && unload_generation.load() == generation;
    const std::uint64_t measured = is_alone && after > before ? after - before : 0;
    loop->post([this, id, served, measured] { finish_read(id, std::move(*served), measured); });
  });
}

void ManagerControl::finish_read(VersionId id,
                                 Result<std::unique_ptr<ServedModel>> served,
                                 std::uint64_t measured) {
  if (has_ended) return;
  Record& record = records.at(id);
  if (!served.has_value()) {
    record.metrics->kv_bytes.set(0);
    record.metrics->kv_blocks.set(0);
    lifecycle.loaded(id, std::move(served).error(), now());
    return;
  }
  const ModelLoader::Bytes bytes = ModelLoader::bytes_of(**served, record.options);
  record.measured_bytes = measured;
  record.loaded_unix_seconds = unix_milliseconds_now() / 1000;
  record.context_tokens_max = (*served)->context_tokens_max;
  record.served = with_unloader(id, std::shared_ptr<ServedModel>(*std::move(served)));
  record.use->call_when_idle(idle_wanted);
  lifecycle.loaded(
      id,
      LoadedSizes{.fixed_bytes = bytes.fixed, .weight_bytes = bytes.weights, .kv_bytes = bytes.kv},
      now());
}

void ManagerControl::retire(const RetireVersion& action) {
  Record& record = records.at(action.version);
  if (action.keep != Keep::kNothing) {
    record.kept.has_texts = true;
    record.kept.tokenizer = record.served->tokenizer;
    record.kept.chat_template = record.served->chat_template;
    record.kept.files = record.served->model->mapped_files();
    if (action.keep == Keep::kWeights) record.kept.model = record.served->model;
  }
  record.leaving = record.served;
  record.served.reset();
  mark_changed(action.version);
}

// Its last requests are told; their leases come back, and so does the memory.
void ManagerControl::cancel_requests(VersionId id) {
  unloaders->post([leaving = records.at(id).leaving] {
    if (const std::shared_ptr<ServedModel> served = leaving.lock()) {
      served->engine->drain(Duration::zero());
    }
  });
}

void ManagerControl::grant(const GrantTicket& action) {
  const auto found = waiters.find(action.ticket);
  if (found == waiters.end()) return;
  Waiter waiter = std::move(found->second);
  waiters.erase(found);
  const Record& record = records.at(action.version);
  CHECK(record.served != nullptr);
  requests_waited.fetch_add(1);
  metrics.cold_start_wait.observe(to_seconds(now() - waiter.began));
  changed_models.insert(waiter.model);
  answers.emplace_back(std::move(waiter.ready),
                       Lease(record.served, record.use, waiter.keep_alive));
}

void ManagerControl::refuse(RefuseTicket& action) {
  const auto found = waiters.find(action.ticket);
  if (found == waiters.end()) return;
  Waiter waiter = std::move(found->second);
  waiters.erase(found);
  changed_models.insert(waiter.model);
  Status status = std::move(action.status);
  if (action.failed != 0) status = public_failure(action.failed, status);
  answers.emplace_back(std::move(waiter.ready), std::move(status).with_where("model"));
}

// Clients hear why, but not where files lie.
Status ManagerControl::public_failure(VersionId id, const Status& status) const {
  const ModelOptions& wanted = records.at(id).options;
  std::string reason = status.message();
  if (!wanted.path.empty()) {
    for (std::size_t place = reason.find(wanted.path); place != std::string::npos;
         place = reason.find(wanted.path, place + 1)) {
      reason.replace(place, wanted.path.size(), wanted.name);
    }
  }
  const std::string text = str("the model '", wanted.name, "' could not be loaded: ", reason);
  if (status.code() == StatusCode::kResourceExhausted) {
    return resource_exhausted(text).with_hint(status.hint());
  }
  return unavailable(text).with_hint("the server's log has the details; it is tried again later");
}

void ManagerControl::forget(VersionId id) {
  const auto found = records.find(id);
  if (found == records.end()) return;
  requests_forgotten.fetch_add(found->second.use->read().request_count);
  mark_changed(id);
  records.erase(found);
}

void ManagerControl::note_state(const NoteState& action) {
  const auto found = records.find(action.version);
  if (found == records.end()) return;  // a resident one that is being added
  Record& record = found->second;
  const std::string label = model_id(record.options.name, record.options.version);
  const Lifecycle::View view = lifecycle.view(action.version);
  using enum VersionState;
  switch (action.to) {
    case kReady:
      if (view.load_count == record.load_count) break;  // only its pool was built anew
      record.load_count = view.load_count;
      loads_ok.fetch_add(1);
      metrics.model_loads[static_cast<std::size_t>(ModelLoads::ok)].add();
      metrics.model_load_time.observe(view.load_seconds);
      load_ms_total.fetch_add(static_cast<std::uint64_t>(view.load_seconds * 1e3));
      log::info("manager",
                str("model '",
                    label,
                    "' is ready: ",
                    format_bytes(view.reserved_bytes),
                    " of the memory budget, ",
                    format_bytes(view.loaded.kv_bytes),
                    " of it KV cache"));
      break;
    case kFailed:
      loads_failed.fetch_add(1);
      metrics.model_loads[static_cast<std::size_t>(ModelLoads::failed)].add();
      record.kept = {};
      log::warning("manager", str("model '", label, "' failed to load: ", action.reason));
      break;
    case kUnloaded:
      record.kept = {};
      [[fallthrough]];
    case kSleeping:
      record.kept.model.reset();
      metrics.model_unloads.add();
      log::info("manager",
                str("model '",
                    label,
                    "' is ",
                    version_state_name(action.to),
                    action.reason.empty() ? "" : ": ",
                    action.reason));
      if (record.metrics != nullptr) {
        record.metrics->kv_bytes.set(0);
        record.metrics->kv_blocks.set(0);
        record.metrics->weight_bytes.set(0);
      }
      break;
    case kRegistered:
    case kLoading:
    case kWarming:
    case kDraining:
      break;
  }
  if (record.metrics != nullptr) {
    record.metrics->state.set(static_cast<double>(action.to));
  }
  text::Value::Dict detail;
  detail.emplace_back("from", version_state_name(action.from));
  detail.emplace_back("to", version_state_name(action.to));
  if (!action.reason.empty()) detail.emplace_back("reason", action.reason);
  emit("state", action.version, text::to_json(detail));
  mark_changed(action.version);
}

void ManagerControl::note_event(const NoteEvent& action) {
  const auto found = records.find(action.version);
  if (found == records.end()) return;
  const ModelOptions& wanted = found->second.options;
  const std::string label = model_id(wanted.name, wanted.version);
  if (action.kind == "evicted") {
    evictions.fetch_add(1);
    metrics.model_evictions.add();
  } else if (action.kind == "shrunk" || action.kind == "grown") {
    metrics.pool_resizes.add();
  } else if (action.kind == "live" && options.catalog != nullptr && found->second.from_catalog) {
    if (options.catalog->snapshot()->live_version(wanted.name) != wanted.version) {
      const Status status = options.catalog->set_live_version(
          wanted.name, wanted.version, {.principal = "manager", .address = ""});
      if (!status.ok()) {
        log::error("manager", str("the live version is not recorded: ", status.to_string()));
      }
    }
  }
  log::info("manager", str("model '", label, "' ", action.kind, ": ", action.text));
  text::Value::Dict detail;
  detail.emplace_back("text", action.text);
  emit(action.kind, action.version, text::to_json(detail));
  mark_changed(action.version);
}

void ManagerControl::emit(std::string kind, VersionId id, std::string detail) {
  if (options.events == nullptr) return;
  const ModelOptions& wanted = records.at(id).options;
  options.events->publish({.id = 0,
                           .at_unix_ms = unix_milliseconds_now(),
                           .kind = std::move(kind),
                           .model = model_id(wanted.name, wanted.version),
                           .detail = std::move(detail)});
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

std::shared_ptr<const VersionEntry> ManagerControl::entry_of(VersionId id) const {
  const Record& record = records.at(id);
  const Lifecycle::View view = lifecycle.view(id);
  auto entry = std::make_shared<VersionEntry>();
  entry->id = id;
  entry->retry_at = view.retry_at;
  entry->served = record.served;
  entry->use = record.use;
  entry->meter = record.meter;
  VersionInfo& info = entry->info;
  info.name = *view.name;
  info.version = *view.version;
  info.path = record.options.path;
  info.state = view.state;
  info.reason = *view.reason;
  info.live = view.live;
  info.pinned = view.pinned;
  info.held = view.held;
  info.served = view.served;
  info.created_unix_seconds = record.created_unix_seconds;
  info.loaded_unix_seconds = record.loaded_unix_seconds;
  info.context_tokens_max = record.context_tokens_max;
  info.planned_bytes = view.sizes.fixed_bytes + view.sizes.kv_floor_bytes;
  info.reserved_bytes = view.reserved_bytes;
  if (view.reserved_bytes > 0) {
    info.weight_bytes = view.loaded.weight_bytes;
    info.kv_bytes = view.loaded.kv_bytes;
    info.workspace_bytes = view.loaded.fixed_bytes - view.loaded.weight_bytes;
  }
  info.measured_bytes = record.measured_bytes;
  info.load_count = view.load_count;
  info.failure_count = view.failure_count;
  info.load_seconds = view.load_seconds;
  info.waiting_count = view.waiting_count;
  info.metrics = record.metrics;
  return entry;
}

std::shared_ptr<const ModelEntry> ManagerControl::model_entry_of(const std::string& name) const {
  auto model = std::make_shared<ModelEntry>();
  model->name = name;
  const VersionId live = lifecycle.live_of(name);
  for (const VersionId id : lifecycle.versions_of(name)) {
    if (!records.contains(id)) continue;
    model->versions.push_back(entry_of(id));
    if (id == live) model->live = model->versions.back().get();
  }
  return model->versions.empty() ? nullptr : model;
}

void ManagerControl::publish() {
  const std::shared_ptr<const Directory> before = directory();
  auto next = std::make_shared<Directory>();
  next->routing = routing;
  for (const auto& [alias, target] : aliases) next->aliases.push_back({alias, target});
  // A merge of two lists in order of name.
  auto changed = changed_models.begin();
  const auto add_changed = [&] {
    if (auto model = model_entry_of(*changed)) next->models.push_back(std::move(model));
    ++changed;
  };
  for (const auto& model : before->models) {
    while (changed != changed_models.end() && *changed < model->name) add_changed();
    if (changed != changed_models.end() && *changed == model->name) {
      add_changed();
    } else {
      next->models.push_back(model);
    }
  }
  while (changed != changed_models.end()) add_changed();
  changed_models.clear();
  list_changed = false;
  {
    const std::lock_guard lock(directory_mutex);
    current = std::move(next);
  }
  publish_metrics();
}

void ManagerControl::publish_metrics() {
  const auto counts = lifecycle.state_counts();
  using enum VersionState;
  const auto of = [&](VersionState state) {
    return static_cast<double>(counts[static_cast<std::size_t>(state)]);
  };
  double all = 0;
  for (const std::int32_t count : counts) all += count;
  metrics.model_versions.set(all);
  metrics.model_versions_ready.set(of(kReady));
  metrics.model_versions_loading.set(of(kLoading) + of(kWarming));
  metrics.model_versions_draining.set(of(kDraining));
  metrics.model_versions_sleeping.set(of(kSleeping));
  metrics.model_versions_failed.set(of(kFailed));
  metrics.model_requests_waiting.set(static_cast<double>(waiters.size()));
  metrics.memory_reserved_bytes.set(static_cast<double>(lifecycle.ledger().reserved_bytes()));
  reserved_bytes.store(lifecycle.ledger().reserved_bytes());
  loaded_count.store(lifecycle.loaded_count());
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
