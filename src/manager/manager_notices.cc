// What others see of the control thread's work: the log, events, metrics, and the directory that
// requests and listings read.
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/str.h"
#include "manager/catalog.h"
#include "manager/events.h"
#include "manager/manager_control.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using ModelLoads = observe::ServerMetrics::model_loads_label;

}  // namespace

std::int64_t unix_milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void ManagerControl::note_ready(VersionId id, Record& record) {
  const Lifecycle::View view = lifecycle.view(id);
  if (view.load_count == record.load_count) return;  // only its pool was built anew
  record.load_count = view.load_count;
  loads_ok.fetch_add(1);
  metrics.model_loads[static_cast<std::size_t>(ModelLoads::ok)].add();
  metrics.model_load_time.observe(view.load_seconds);
  load_ms_total.fetch_add(static_cast<std::uint64_t>(view.load_seconds * 1e3));
  log::info("manager",
            str("model '",
                model_id(record.options.name, record.options.version),
                "' is ready: ",
                format_bytes(view.reserved_bytes),
                " of the memory budget, ",
                format_bytes(view.loaded.kv_bytes),
                " of it KV cache"));
}

// Of a version that is on its way out, the state machine knows nothing any more: only one that is
// ready may be asked for.
void ManagerControl::note_state(const NoteState& action) {
  const auto found = records.find(action.version);
  if (found == records.end()) return;  // a resident one that is being added
  Record& record = found->second;
  const std::string label = model_id(record.options.name, record.options.version);
  using enum VersionState;
  switch (action.to) {
    case kReady:
      note_ready(action.version, record);
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
    const auto snapshot = options.catalog->snapshot();
    // A name that is removed with all its versions passes from one to the next on its way out.
    const bool is_recorded = snapshot->find(wanted.name, wanted.version) != nullptr;
    if (is_recorded && snapshot->live_version(wanted.name) != wanted.version) {
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

std::shared_ptr<const VersionEntry> ManagerControl::entry_of(VersionId id) const {
  const Record& record = records.at(id);
  const Lifecycle::View view = lifecycle.view(id);
  auto entry = std::make_shared<VersionEntry>();
  entry->id = id;
  entry->retry_at = view.retry_at;
  entry->keep_alive = view.keep_alive;
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

}  // namespace inferneo::manager
