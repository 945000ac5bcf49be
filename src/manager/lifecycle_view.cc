// What the state machine shows of itself, and what must be true of it at any time.
#include <algorithm>

#include "base/str.h"
#include "manager/lifecycle.h"

namespace inferneo::manager {

Lifecycle::View Lifecycle::view(VersionId id) const {
  const Version& version = at(id);
  const Model& model = model_of(version);
  View view;
  view.id = id;
  view.name = &version.spec.name;
  view.version = &version.spec.version;
  view.state = version.state;
  view.reason = &version.reason;
  view.failure = &version.failure;
  view.live = model.live == id;
  view.pinned = version.spec.pinned || version.resident;
  view.held = version.held;
  view.served = is_served(id);
  view.sizes = version.sizes;
  view.loaded = version.loaded;
  view.reserved_bytes = ledger_.reserved_by(id);
  view.load_count = version.load_count;
  view.failure_count = version.failure_count;
  view.load_seconds = version.load_seconds;
  view.retry_at = version.retry_at;
  if (!view.pinned && !view.held) {
    view.keep_alive = version.spec.keep_alive.value_or(options_.keep_alive);
  }
  for (const Ticket& ticket : model.waiting) {
    if (target_of(model, ticket) == id) ++view.waiting_count;
  }
  return view;
}

std::vector<VersionId> Lifecycle::versions_of(const std::string& name) const {
  const auto model = models_.find(name);
  return model == models_.end() ? std::vector<VersionId>() : model->second.versions;
}

VersionId Lifecycle::find(const std::string& name, const std::string& version) const {
  for (const VersionId id : versions_of(name)) {
    if (at(id).spec.version == version && !at(id).gone) return id;
  }
  return 0;
}

VersionId Lifecycle::live_of(const std::string& name) const {
  const auto model = models_.find(name);
  return model == models_.end() ? 0 : model->second.live;
}

std::optional<Lifecycle::Swap> Lifecycle::swap_of(const std::string& name) const {
  const auto model = models_.find(name);
  return model == models_.end() ? std::nullopt : model->second.swap;
}

const VersionPolicy* Lifecycle::policy_of(const std::string& name) const {
  const auto model = models_.find(name);
  return model == models_.end() ? nullptr : &model->second.policy;
}

std::vector<std::string> Lifecycle::names() const {
  std::vector<std::string> names;
  for (const auto& [name, model] : models_) names.push_back(name);
  return names;
}

std::array<std::int32_t, kVersionStateCount> Lifecycle::state_counts() const {
  std::array<std::int32_t, kVersionStateCount> counts{};
  for (const auto& [id, version] : versions_) ++counts[static_cast<std::size_t>(version.state)];
  return counts;
}

std::int32_t Lifecycle::waiting_count() const {
  std::size_t count = 0;
  for (const auto& [name, model] : models_) count += model.waiting.size();
  return static_cast<std::int32_t>(count);
}

std::string Lifecycle::broken_invariant() const {
  std::uint64_t reserved = 0;
  std::int32_t jobs = 0;
  for (const auto& [id, version] : versions_) {
    const std::string name = label(version);
    const bool queued = std::count(queue_.begin(), queue_.end(), id) == 1;
    const bool loading = version.phase == Phase::kQueued || version.phase == Phase::kPlanning ||
                         version.phase == Phase::kAdmitted;
    if (queued != loading) return str(name, ": its phase and the queue differ");
    if (loading && version.state != VersionState::kLoading)
      return str(name, ": queued, not loading");
    const bool retiring = version.phase == Phase::kRetiring;
    if (retiring != (version.state == VersionState::kDraining)) return str(name, ": drain differs");
    const bool holds = ledger_.reserved_by(id) > 0;
    const bool should = is_in_memory(version) || version.phase == Phase::kReading;
    if (holds && !should)
      return str(name, ": holds memory in state ", version_state_name(version.state));
    if (version.state == VersionState::kReady &&
        ledger_.reserved_by(id) < version.loaded.fixed_bytes + version.loaded.kv_bytes &&
        !version.resident) {
      return str(name, ": takes more than it has reserved");
    }
    reserved += ledger_.reserved_by(id);
    if (version.phase == Phase::kPlanning || version.phase == Phase::kReading) ++jobs;
  }
  if (reserved != ledger_.reserved_bytes()) return "the ledger does not add up";
  if (reserved > options_.budget_bytes) return "more is reserved than the budget";
  if (jobs != job_count_) return "jobs are miscounted";
  if (options_.loaded_count_max > 0 && loaded_count() > options_.loaded_count_max) {
    return "more models are loaded than allowed";
  }
  for (const auto& [name, model] : models_) {
    if (model.versions.empty()) return str(name, ": a model without versions");
    if (static_cast<std::int32_t>(model.waiting.size()) > options_.waiting_count_max) {
      return str(name, ": too many wait");
    }
    if (model.live != 0 && at(model.live).gone) return str(name, ": the live version is gone");
    for (const Ticket& ticket : model.waiting) {
      const VersionId target = target_of(model, ticket);
      if (target == 0) return str(name, ": a ticket waits for nothing");
      const Version& version = at(target);
      const bool comes = version.state == VersionState::kLoading ||
                         version.state == VersionState::kWarming ||
                         version.state == VersionState::kDraining;
      if (!comes) {
        return str(
            name, ": a ticket waits for a version that is ", version_state_name(version.state));
      }
    }
  }
  return "";
}

}  // namespace inferneo::manager
