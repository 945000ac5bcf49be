// The part of the state machine that time moves: waits and drains that end, models that are idle
// for long enough, and when to look next.
#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "base/str.h"
#include "manager/lifecycle.h"
#include "manager/saturating_time.h"

namespace inferneo::manager {

void Lifecycle::use(VersionId id, const UseSample& sample, TimePoint now) {
  Version& version = at(id);
  version.use = sample;
  version.popularity.note(sample.request_count, now);
}

std::optional<Duration> Lifecycle::time_to_live(const Version& version) const {
  if (version.spec.pinned || version.held || version.resident) return std::nullopt;
  const Duration keep_alive =
      version.use.keep_alive.value_or(version.spec.keep_alive.value_or(options_.keep_alive));
  if (keep_alive == Duration::max()) return std::nullopt;
  return keep_alive;
}

void Lifecycle::tick(TimePoint now) {
  expire_tickets(now);
  expire_drains(now);
  expire_idle(now);
  pump(now);
  grow_pools(now);
}

void Lifecycle::expire_tickets(TimePoint now) {
  for (auto& entry : models_) {
    auto& model = entry.second;
    std::erase_if(model.waiting, [&](const Ticket& ticket) {
      if (now < ticket.deadline) return false;
      const VersionId target = target_of(model, ticket);
      const std::string state =
          target == 0 ? "unknown" : std::string(version_state_name(at(target).state));
      const std::string reason = target == 0 ? "" : at(target).reason;
      actions_.emplace_back(
          RefuseTicket{ticket.id,
                       deadline_exceeded(str("the model was not ready in time: it is ",
                                             state,
                                             reason.empty() ? "" : ", ",
                                             reason))
                           .with_hint("try again later, or preload the model"),
                       0});
      return true;
    });
  }
}

void Lifecycle::expire_drains(TimePoint now) {
  for (auto& [id, version] : versions_) {
    if (version.phase != Phase::kRetiring || version.requests_cancelled) continue;
    if (now < version.drain_deadline) continue;
    version.requests_cancelled = true;
    actions_.emplace_back(CancelRequests{id});
  }
}

void Lifecycle::expire_idle(TimePoint now) {
  for (auto& [id, version] : versions_) {
    if (version.state != VersionState::kReady || version.phase != Phase::kIdle) continue;
    if (!is_idle(version)) continue;
    const std::optional<Duration> ttl = time_to_live(version);
    if (!ttl || now < later(std::max(version.use.last_used, version.ready_at), *ttl)) continue;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*ttl).count();
    const bool sleeps = options_.sleep_when_idle;
    note(id, "idle", str("no request for ", seconds, " s"));
    retire(id,
           sleeps ? Keep::kFiles : Keep::kNothing,
           limits::kRequestTimeout,
           str("idle for ", seconds, " s"),
           now);
  }
}

TimePoint Lifecycle::next_tick(TimePoint now) const {
  TimePoint next = TimePoint::max();
  for (const auto& [name, model] : models_) {
    for (const Ticket& ticket : model.waiting) next = std::min(next, ticket.deadline);
  }
  for (const auto& [id, version] : versions_) {
    if (version.phase == Phase::kRetiring && !version.requests_cancelled) {
      next = std::min(next, version.drain_deadline);
    }
    if (version.state != VersionState::kReady || version.phase != Phase::kIdle) continue;
    const TimePoint used = std::max(version.use.last_used, version.ready_at);
    if (const std::optional<Duration> ttl = time_to_live(version)) {
      // A busy one is used until now at least. Nobody says when it becomes idle.
      const bool idle = is_idle(version);
      next = std::min(next, idle ? later(used, *ttl) : later(now, std::max(*ttl, kBusyLook)));
    }
    if (version.sizes.kv_is_fixed) continue;
    if (!is_idle(version)) {
      next = std::min(next, later(now, kBusyLook));  // its pool may be short
    } else if (used + kGrowIdle > now) {
      next = std::min(next, used + kGrowIdle);
    }
  }
  if (!queue_.empty() && at(queue_.front()).phase == Phase::kAdmitted) {
    // The patience with busy models, and memory of the system that nobody announces.
    const TimePoint patience = at(queue_.front()).memory_wait_began + kBusyPatience;
    next = std::min(next, patience > now ? patience : now + kBusyPatience);
  }
  return next;
}

bool Lifecycle::wants_idle() const {
  return !queue_.empty() && at(queue_.front()).phase == Phase::kAdmitted;
}

}  // namespace inferneo::manager
