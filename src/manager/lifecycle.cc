#include "manager/lifecycle.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "manager/catalog_record.h"
#include "manager/saturating_time.h"

namespace inferneo::manager {
namespace {

Status unknown_model() { return not_found("the model is not registered any more"); }

}  // namespace

Lifecycle::Lifecycle(LifecycleOptions options)
    : options_(std::move(options)), ledger_(options_.budget_bytes) {}

Lifecycle::Version& Lifecycle::at(VersionId id) {
  const auto found = versions_.find(id);
  CHECK(found != versions_.end());
  return found->second;
}

const Lifecycle::Version& Lifecycle::at(VersionId id) const {
  const auto found = versions_.find(id);
  CHECK(found != versions_.end());
  return found->second;
}

Lifecycle::Model& Lifecycle::model_of(const Version& version) {
  return models_.find(version.spec.name)->second;
}

const Lifecycle::Model& Lifecycle::model_of(const Version& version) const {
  return models_.find(version.spec.name)->second;
}

std::string Lifecycle::label(const Version& version) const {
  return model_id(version.spec.name, version.spec.version);
}

bool Lifecycle::is_in_memory(const Version& version) {
  return version.state == VersionState::kWarming || version.state == VersionState::kReady ||
         version.state == VersionState::kDraining;
}

bool Lifecycle::is_idle(const Version& version) const { return version.use.lease_count == 0; }

bool Lifecycle::is_served(VersionId id) const {
  const Version& version = at(id);
  if (version.gone) return false;
  const Model& model = model_of(version);
  if (model.live == id || version.held) return true;
  if (model.swap && (model.swap->from == id || model.swap->to == id)) return true;
  if (model.policy.kind == VersionPolicy::Kind::kAll) return true;
  std::vector<std::string> sorted;
  for (const VersionId other : model.versions) {
    if (!at(other).gone) sorted.push_back(at(other).spec.version);
  }
  return policy_serves(model.policy, sorted, version.spec.version);
}

void Lifecycle::set_state(VersionId id, VersionState to, std::string reason) {
  Version& version = at(id);
  CHECK(may_follow(version.state, to));
  actions_.emplace_back(NoteState{id, version.state, to, reason});
  version.state = to;
  version.reason = std::move(reason);
}

void Lifecycle::note(VersionId id, std::string kind, std::string text) {
  actions_.emplace_back(NoteEvent{id, std::move(kind), std::move(text)});
}

std::vector<Action> Lifecycle::take_actions() { return std::exchange(actions_, {}); }

// --- the list ---

Result<VersionId> Lifecycle::insert(const VersionSpec& spec) {
  Model& model = models_[spec.name];
  const auto place =
      std::find_if(model.versions.begin(), model.versions.end(), [&](VersionId other) {
        return compare_versions(at(other).spec.version, spec.version) >= 0;
      });
  if (place != model.versions.end() && at(*place).spec.version == spec.version) {
    return already_exists(str("a model named '",
                              spec.name,
                              "' with version ",
                              spec.version,
                              " exists already"))
        .with_hint("give this one another name with NAME=PATH, or another version");
  }
  const VersionId id = ++last_id_;
  model.versions.insert(place, id);
  if (model.live == 0) model.live = id;
  versions_[id].spec = spec;
  return id;
}

Result<VersionId> Lifecycle::add(const VersionSpec& spec, TimePoint now) {
  ASSIGN_OR_RETURN(const VersionId id, insert(spec));
  apply_policy(model_of(at(id)), now);  // "latest" may serve another one less
  return id;
}

Result<VersionId> Lifecycle::add_resident(const VersionSpec& spec,
                                          std::uint64_t bytes,
                                          TimePoint now) {
  ASSIGN_OR_RETURN(const VersionId id, insert(spec));
  Version& version = at(id);
  version.resident = true;
  version.state = VersionState::kReady;
  version.ready_at = now;
  version.loaded.fixed_bytes = std::min(bytes, ledger_.free_bytes());
  version.load_count = 1;
  ledger_.reserve(id, version.loaded.fixed_bytes);
  actions_.emplace_back(NoteState{id, VersionState::kRegistered, VersionState::kReady, ""});
  return id;
}

void Lifecycle::remove(VersionId id, TimePoint now) {
  Version& version = at(id);
  if (version.gone) return;
  version.gone = true;
  version.held = false;
  Model& model = model_of(version);
  if (model.swap && (model.swap->from == id || model.swap->to == id)) {
    const bool restore = model.swap->to == id && model.swap->drain_first;
    const VersionId from = model.swap->from;
    model.swap.reset();
    if (restore) want(from, true);
  }
  if (model.live == id) {
    model.live = 0;
    for (const VersionId other : model.versions) {
      if (!at(other).gone && is_served(other)) model.live = other;  // the highest
    }
    if (model.live != 0) note(model.live, "live", str("'", label(version), "' was removed"));
  }
  switch (version.phase) {
    case Phase::kQueued:
    case Phase::kAdmitted:
      give_up_load(id, now);
      break;
    case Phase::kPlanning:
    case Phase::kReading:
    case Phase::kRetiring:
      version.keep = Keep::kNothing;
      break;  // their answers find `gone`
    case Phase::kIdle:
      if (version.state == VersionState::kReady) {
        retire(id, Keep::kNothing, limits::kRequestTimeout, "removed", now);
      }
      break;
  }
  settle(model, now);
  if (version.phase == Phase::kIdle) forget(id);
  pump(now);
}

void Lifecycle::forget(VersionId id) {
  const auto model = models_.find(at(id).spec.name);
  std::erase(model->second.versions, id);
  if (model->second.versions.empty()) {
    for (const Ticket& ticket : model->second.waiting) {
      actions_.emplace_back(RefuseTicket{ticket.id, unknown_model(), 0});
    }
    models_.erase(model);
  }
  ledger_.release(id);
  versions_.erase(id);
  actions_.emplace_back(ForgetVersion{id});
}

void Lifecycle::set_pinned(VersionId id, bool pinned, TimePoint now) {
  at(id).spec.pinned = pinned;
  pump(now);
}

void Lifecycle::set_keep_alive(VersionId id, std::optional<Duration> keep_alive, TimePoint now) {
  at(id).spec.keep_alive = keep_alive;
  expire_idle(now);
}

void Lifecycle::set_policy(const std::string& name, const VersionPolicy& policy, TimePoint now) {
  const auto model = models_.find(name);
  if (model == models_.end()) return;
  model->second.policy = policy;
  apply_policy(model->second, now);
}

void Lifecycle::apply_policy(Model& model, TimePoint now) {
  for (const VersionId id : std::vector<VersionId>(model.versions)) {
    Version& version = at(id);
    if (version.gone || version.resident || is_served(id)) continue;
    if (version.phase == Phase::kQueued || version.phase == Phase::kAdmitted) {
      give_up_load(id, now);
    } else if (version.phase == Phase::kPlanning || version.phase == Phase::kReading) {
      version.unload_after = true;
    } else if (version.state == VersionState::kReady) {
      retire(id, Keep::kNothing, limits::kRequestTimeout, "not served by the version policy", now);
    } else if (version.state == VersionState::kSleeping) {
      set_state(id, VersionState::kUnloaded, "not served by the version policy");
    }
  }
  settle(model, now);
  pump(now);
}

void Lifecycle::set_live(VersionId id, TimePoint now) {
  Model& model = model_of(at(id));
  if (model.swap) fail_swap(model, cancelled("another version was made live"), now);
  if (model.live != id) {
    const VersionId former = std::exchange(model.live, id);
    note(id, "live", former == 0 ? "" : str("before: '", label(at(former)), "'"));
  }
  apply_policy(model, now);
}

// --- commands ---

// Why only a flag while it is being retired: memory is given back first.
void Lifecycle::want(VersionId id, bool may_evict) {
  Version& version = at(id);
  if (version.gone || version.resident || shut_down_) return;
  switch (version.state) {
    case VersionState::kReady:
    case VersionState::kWarming:
      return;
    case VersionState::kDraining:
      version.load_after = true;
      return;
    case VersionState::kLoading:
      version.may_evict = version.may_evict || may_evict;
      return;
    case VersionState::kRegistered:
    case VersionState::kSleeping:
    case VersionState::kUnloaded:
    case VersionState::kFailed:
      version.may_evict = may_evict;
      enqueue(id);
      return;
  }
}

void Lifecycle::enqueue(VersionId id) {
  Version& version = at(id);
  version.phase = Phase::kQueued;
  version.unload_after = false;
  queue_.push_back(id);
  set_state(id, VersionState::kLoading, "");
}

void Lifecycle::give_up_load(VersionId id, TimePoint now) {
  Version& version = at(id);
  std::erase(queue_, id);
  version.phase = Phase::kIdle;
  set_state(id, VersionState::kUnloaded, "the load was given up");
  if (!version.gone) settle(model_of(version), now);
}

Status Lifecycle::load(VersionId id, bool may_evict, TimePoint now) {
  Version& version = at(id);
  if (version.gone) return unknown_model();
  if (shut_down_) return unavailable("the server is shutting down");
  if (!is_served(id)) {
    return failed_precondition(str("'", label(version), "' is not served by the version policy"));
  }
  version.unload_after = false;
  version.retry_at = {};
  want(id, may_evict);
  pump(now);
  return ok_status();
}

Status Lifecycle::unload(VersionId id, Keep keep, Duration drain_timeout, TimePoint now) {
  Version& version = at(id);
  if (version.held) {
    return failed_precondition(str("'", label(version), "' is part of a rollout"))
        .with_hint("finish or abort the rollout first");
  }
  if (version.resident) {
    return failed_precondition(str("'", label(version), "' was put in directly and cannot leave"));
  }
  switch (version.phase) {
    case Phase::kQueued:
    case Phase::kAdmitted:
      give_up_load(id, now);
      break;
    case Phase::kPlanning:
    case Phase::kReading:
      version.unload_after = true;
      break;
    case Phase::kRetiring:
      version.load_after = false;
      if (keep == Keep::kNothing || version.keep == Keep::kWeights) version.keep = keep;
      version.drain_deadline = std::min(version.drain_deadline, later(now, drain_timeout));
      break;
    case Phase::kIdle:
      if (version.state == VersionState::kReady) {
        retire(id,
               keep,
               drain_timeout,
               keep == Keep::kFiles ? "put to sleep" : "unloaded on request",
               now);
      } else if (version.state == VersionState::kSleeping && keep == Keep::kNothing) {
        set_state(id, VersionState::kUnloaded, "unloaded on request");
      } else if (version.state == VersionState::kFailed) {
        set_state(id, VersionState::kUnloaded, "the failure was cleared");
        version.failures_in_row = 0;
        version.retry_at = {};
      }
      break;
  }
  settle(model_of(version), now);
  expire_drains(now);
  pump(now);
  return ok_status();
}

Status Lifecycle::swap(VersionId to, bool unload_former, TimePoint now) {
  Version& version = at(to);
  if (version.gone) return unknown_model();
  if (shut_down_) return unavailable("the server is shutting down");
  Model& model = model_of(version);
  if (model.swap) {
    return already_exists(str(
        "'", version.spec.name, "' is being swapped to version ", at(model.swap->to).spec.version));
  }
  version.retry_at = {};
  version.unload_after = false;
  if (model.live == to || model.live == 0) {
    model.live = to;
    want(to, true);
    pump(now);
    return ok_status();
  }
  model.swap = Swap{.from = model.live, .to = to, .unload_former = unload_former};
  if (version.state == VersionState::kReady) {
    finish_swap(model, to, now);
  } else {
    want(to, true);
  }
  pump(now);
  return ok_status();
}

void Lifecycle::finish_swap(Model& model, VersionId ready, TimePoint now) {
  const Swap swap = *model.swap;
  model.swap.reset();
  model.live = ready;
  const Version& from = at(swap.from);
  note(ready, "live", str("before: '", label(from), "'"));
  const bool stays = from.held || from.resident || (from.spec.pinned && !swap.unload_former);
  if (!stays && from.state == VersionState::kReady && from.phase == Phase::kIdle &&
      (swap.unload_former || !is_served(swap.from))) {
    retire(swap.from,
           Keep::kNothing,
           limits::kRequestTimeout,
           str("replaced by version ", at(ready).spec.version),
           now);
  }
  apply_policy(model, now);
}

void Lifecycle::fail_swap(Model& model, const Status& status, TimePoint now) {
  const Swap swap = *model.swap;
  model.swap.reset();
  note(swap.to, "swap_failed", str("'", label(at(swap.from)), "' stays live: ", status.message()));
  if (swap.drain_first) want(swap.from, true);
  settle(model, now);
}

Status Lifecycle::hold(VersionId id, TimePoint now) {
  Version& version = at(id);
  if (version.gone) return unknown_model();
  if (shut_down_) return unavailable("the server is shutting down");
  version.held = true;
  version.unload_after = false;
  version.retry_at = {};
  want(id, true);
  pump(now);
  return ok_status();
}

void Lifecycle::release(VersionId id, TimePoint now) {
  Version& version = at(id);
  if (!version.held) return;
  version.held = false;
  apply_policy(model_of(version), now);
}

void Lifecycle::retire(
    VersionId id, Keep keep, Duration drain_timeout, std::string reason, TimePoint now) {
  Version& version = at(id);
  CHECK(version.state == VersionState::kReady && version.phase == Phase::kIdle);
  version.phase = Phase::kRetiring;
  version.keep = keep;
  version.load_after = false;
  version.requests_cancelled = false;
  version.resize_to = 0;  // an answer that still comes is of what leaves
  version.drain_deadline = later(now, drain_timeout);
  set_state(id, VersionState::kDraining, std::move(reason));
  actions_.emplace_back(RetireVersion{id, keep});
}

// --- requests ---

VersionId Lifecycle::target_of(const Model& model, const Ticket& ticket) const {
  VersionId target = model.live;
  if (ticket.version != 0) {
    const auto named = versions_.find(ticket.version);
    const bool exists = named != versions_.end() && is_served(ticket.version);
    if (ticket.firm) return exists ? ticket.version : 0;
    // The share of a rollout is a wish: where its version cannot serve, the live one does.
    if (exists && named->second.state != VersionState::kFailed) target = ticket.version;
  }
  if (model.swap && model.swap->drain_first && target == model.swap->from) return model.swap->to;
  return target;
}

void Lifecycle::wait(TicketId ticket,
                     const std::string& name,
                     VersionId version,
                     bool firm,
                     TimePoint deadline,
                     TimePoint now) {
  const auto model = models_.find(name);
  if (model == models_.end()) {
    actions_.emplace_back(RefuseTicket{ticket, unknown_model(), 0});
    return;
  }
  if (shut_down_) {
    actions_.emplace_back(RefuseTicket{ticket, unavailable("the server is shutting down"), 0});
    return;
  }
  const auto waiting = static_cast<std::int32_t>(model->second.waiting.size());
  if (waiting >= options_.waiting_count_max) {
    actions_.emplace_back(RefuseTicket{
        ticket,
        resource_exhausted(
            str("the model is not loaded yet and ", waiting, " requests wait for it already"))
            .with_hint("try again later"),
        0});
    return;
  }
  model->second.waiting.push_back({ticket, version, firm, deadline});
  settle(model->second, now);
  pump(now);
}

void Lifecycle::abandon(TicketId ticket) {
  for (auto& [name, model] : models_) {
    if (std::erase_if(model.waiting, [ticket](const Ticket& t) { return t.id == ticket; }) > 0) {
      return;
    }
  }
}

// Answers whoever can be answered, and has loaded what the others wait for.
void Lifecycle::settle(Model& model, TimePoint now) {
  std::deque<Ticket> left;
  for (const Ticket& ticket : std::exchange(model.waiting, {})) {
    const VersionId target = target_of(model, ticket);
    if (target == 0) {
      actions_.emplace_back(RefuseTicket{ticket.id, unknown_model(), 0});
      continue;
    }
    Version& version = at(target);
    if (version.state == VersionState::kReady) {
      // Counted until the next sample shows it, so that it is not taken for idle meanwhile.
      ++version.use.lease_count;
      actions_.emplace_back(GrantTicket{ticket.id, target});
    } else if (version.state == VersionState::kFailed && now < version.retry_at) {
      actions_.emplace_back(RefuseTicket{ticket.id, version.failure, target});
    } else {
      want(target, true);
      left.push_back(ticket);
    }
  }
  model.waiting = std::move(left);
}

bool Lifecycle::is_wanted(VersionId id) const {
  const Version& version = at(id);
  if (version.gone) return false;
  if (version.load_after || version.held) return true;
  const Model& model = model_of(version);
  return std::any_of(model.waiting.begin(), model.waiting.end(), [&](const Ticket& ticket) {
    return target_of(model, ticket) == id;
  });
}

// --- answers to actions ---

void Lifecycle::planned(VersionId id, Result<VersionSizes> sizes, TimePoint now) {
  Version& version = at(id);
  CHECK(version.phase == Phase::kPlanning);
  --job_count_;
  if (version.gone || version.unload_after) {
    version.unload_after = false;
    give_up_load(id, now);
    if (version.gone) forget(id);
  } else if (!sizes.has_value()) {
    std::erase(queue_, id);
    fail(id, std::move(sizes).error(), now);
  } else {
    version.sizes = *sizes;
    version.phase = Phase::kAdmitted;
    version.memory_wait_began = now;
  }
  pump(now);
}

void Lifecycle::warming(VersionId id, TimePoint) {
  if (at(id).state == VersionState::kLoading) set_state(id, VersionState::kWarming, "");
}

void Lifecycle::loaded(VersionId id, Result<LoadedSizes> sizes, TimePoint now) {
  Version& version = at(id);
  CHECK(version.phase == Phase::kReading);
  --job_count_;
  version.phase = Phase::kIdle;
  if (!sizes.has_value()) {
    ledger_.release(id);
    fail(id, std::move(sizes).error(), now);
    if (version.gone) forget(id);
    pump(now);
    return;
  }
  version.loaded = *sizes;
  ledger_.reserve(id, std::min(sizes->fixed_bytes + sizes->kv_bytes, ledger_.reserved_by(id)));
  if (version.state == VersionState::kLoading) set_state(id, VersionState::kWarming, "");
  set_state(id, VersionState::kReady, "");
  version.ready_at = now;
  version.failures_in_row = 0;
  version.failure = ok_status();
  if (version.next_kv_bytes == 0) {
    ++version.load_count;
    version.load_seconds = to_seconds(now - version.load_began);
  }
  version.next_kv_bytes = 0;
  Model& model = model_of(version);
  settle(model, now);
  if (version.gone || std::exchange(version.unload_after, false)) {
    const std::string reason = version.gone ? "removed" : "unloaded on request";
    retire(id, Keep::kNothing, limits::kRequestTimeout, reason, now);
  } else if (model.swap && model.swap->to == id) {
    finish_swap(model, id, now);
  }
  pump(now);
}

void Lifecycle::fail(VersionId id, Status status, TimePoint now) {
  Version& version = at(id);
  version.phase = Phase::kIdle;
  version.next_kv_bytes = 0;
  ++version.failure_count;
  const std::uint32_t doublings = std::min(version.failures_in_row++, 20U);
  version.retry_at = later(now, std::min(kRetryDelayMin * (1U << doublings), kRetryDelayMax));
  set_state(id, VersionState::kFailed, status.to_string());
  version.failure = std::move(status);
  Model& model = model_of(version);
  if (model.swap && model.swap->to == id) {
    const Status failure = version.failure;
    fail_swap(model, failure, now);
  } else {
    settle(model, now);
  }
}

void Lifecycle::retired(VersionId id, TimePoint now) {
  Version& version = at(id);
  CHECK(version.phase == Phase::kRetiring);
  version.phase = Phase::kIdle;
  version.use.lease_count = 0;
  if (version.keep == Keep::kWeights && !version.gone && !shut_down_) {
    ledger_.reserve(id, version.loaded.fixed_bytes + version.next_kv_bytes);
    version.phase = Phase::kReading;
    ++job_count_;
    set_state(id, VersionState::kWarming, "its KV pool is built anew");
    version.kv_capacity = kv_capacity(version.sizes, version.next_kv_bytes);
    actions_.emplace_back(LoadVersion{id,
                                      version.next_kv_bytes,
                                      version.loaded.fixed_bytes + version.next_kv_bytes,
                                      version.kv_capacity});
    pump(now);
    return;
  }
  version.next_kv_bytes = 0;
  ledger_.release(id);
  const bool sleeps = version.keep == Keep::kFiles;
  std::string reason = version.reason;
  set_state(id, sleeps ? VersionState::kSleeping : VersionState::kUnloaded, std::move(reason));
  if (version.gone) {
    forget(id);
  } else if (is_wanted(id)) {
    version.load_after = false;
    want(id, true);
  }
  pump(now);
}

void Lifecycle::resized(VersionId id, std::uint64_t kv_bytes, TimePoint now) {
  const auto found = versions_.find(id);
  if (found == versions_.end() || found->second.resize_to == 0) return;
  Version& version = found->second;
  version.resize_to = 0;
  version.resized_at = now;
  version.loaded.kv_bytes =
      std::min(kv_bytes, ledger_.reserved_by(id) - version.loaded.fixed_bytes);
  ledger_.reserve(id, version.loaded.fixed_bytes + version.loaded.kv_bytes);
  pump(now);
}

void Lifecycle::shut_down(TimePoint now) {
  shut_down_ = true;
  for (const VersionId id : std::deque<VersionId>(queue_)) {
    Version& version = at(id);
    if (version.phase == Phase::kPlanning) {
      version.unload_after = true;
    } else {
      give_up_load(id, now);
    }
  }
  for (auto& [name, model] : models_) {
    model.swap.reset();
    for (const Ticket& ticket : std::exchange(model.waiting, {})) {
      actions_.emplace_back(RefuseTicket{ticket.id, unavailable("the server is shutting down"), 0});
    }
  }
}

}  // namespace inferneo::manager
