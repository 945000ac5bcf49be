// The part of the state machine that fits models into memory: who is admitted with which pool, and
// who leaves for whom. Invariant: what is reserved never passes the budget, since bytes are
// reserved before a load begins and given back only after the memory was.
#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "manager/lifecycle.h"
#include "manager/memory.h"
#include "manager/saturating_time.h"

namespace inferneo::manager {
std::int32_t Lifecycle::loaded_count() const {
  return static_cast<std::int32_t>(
      std::count_if(versions_.begin(), versions_.end(), [](const auto& entry) {
        return is_in_memory(entry.second) || entry.second.phase == Phase::kReading;
      }));
}

std::uint64_t Lifecycle::free_now() const {
  const std::uint64_t free = ledger_.free_bytes();
  return options_.available_bytes ? std::min(free, options_.available_bytes()) : free;
}

// `excess`: how many have to leave before one more may be loaded.
bool Lifecycle::count_allows(std::size_t& excess) const {
  const std::int32_t over = loaded_count() + 1 - options_.loaded_count_max;
  excess = options_.loaded_count_max > 0 && over > 0 ? static_cast<std::size_t>(over) : 0;
  return excess == 0;
}

// Of `free` bytes beside the weights: as much as the model deserves, but at most half, so that
// something is left for the next one; a whole context where that is more.
std::uint64_t Lifecycle::choose_kv(const VersionSizes& sizes, std::uint64_t free) const {
  if (sizes.kv_is_fixed) return sizes.kv_min_bytes;
  const std::uint64_t deserved = std::min(free / 2, sizes.kv_wish_bytes);
  const std::uint64_t context = std::min(free, sizes.kv_floor_bytes);
  return std::max(std::min(std::max(deserved, context), sizes.kv_max_bytes), sizes.kv_min_bytes);
}

// As much as a pool is ever given: address space, and bookkeeping for it.
std::uint64_t Lifecycle::kv_capacity(const VersionSizes& sizes, std::uint64_t chosen) const {
  if (sizes.kv_is_fixed) return chosen;
  const std::uint64_t beside =
      ledger_.budget_bytes() - std::min(ledger_.budget_bytes(), sizes.fixed_bytes);
  const std::uint64_t most =
      std::min(std::max(sizes.kv_wish_bytes, sizes.kv_floor_bytes), sizes.kv_max_bytes);
  return std::max(chosen, std::min(most, beside));
}

void Lifecycle::pump(TimePoint now) {
  if (shut_down_) return;
  start_plans();
  admit_head(now);
  start_plans();
}

void Lifecycle::start_plans() {
  for (const VersionId id : queue_) {
    if (job_count_ >= options_.job_count_max) return;
    Version& version = at(id);
    if (version.phase != Phase::kQueued) continue;
    version.phase = Phase::kPlanning;
    ++job_count_;
    actions_.emplace_back(PlanVersion{id});
  }
}

// In the order of the queue: nobody overtakes a model that waits for memory, or small models would
// keep a large one out forever.
void Lifecycle::admit_head(TimePoint now) {
  while (!queue_.empty() && job_count_ < options_.job_count_max) {
    const VersionId id = queue_.front();
    Version& version = at(id);
    if (version.phase != Phase::kAdmitted) return;
    const VersionSizes& sizes = version.sizes;
    std::size_t excess = 0;
    const bool count_allowed = count_allows(excess);
    bool is_waiting = false;
    bool is_admitted = false;
    // First with a pool for a whole context; where that is impossible with the smallest useful one.
    for (const std::uint64_t kv_bytes : {sizes.kv_floor_bytes, sizes.kv_min_bytes}) {
      const std::uint64_t needed = sizes.fixed_bytes + kv_bytes;
      const std::uint64_t free = free_now();
      if (count_allowed && needed >= sizes.fixed_bytes && needed <= free) {
        begin_load(id, choose_kv(sizes, free - sizes.fixed_bytes), now);
        is_admitted = true;
        break;
      }
      if (needed >= sizes.fixed_bytes && needed <= ledger_.budget_bytes() &&
          make_room(id, needed, excess, now)) {
        is_waiting = true;
        break;
      }
    }
    if (is_admitted) continue;
    if (is_waiting) {
      const bool is_news = version.reason.empty();
      version.reason = str("waiting for memory: needs ",
                           format_bytes(sizes.fixed_bytes + sizes.kv_min_bytes),
                           ", ",
                           format_bytes(free_now()),
                           " are free");
      if (is_news) note(id, "waiting", version.reason);
      return;
    }
    const Status refusal = no_room(id, sizes.fixed_bytes + sizes.kv_min_bytes);
    std::erase(queue_, id);
    fail(id, refusal, now);
    if (version.gone) forget(id);
  }
}

void Lifecycle::begin_load(VersionId id, std::uint64_t kv_bytes, TimePoint now) {
  Version& version = at(id);
  std::erase(queue_, id);
  const std::uint64_t bytes = version.sizes.fixed_bytes + kv_bytes;
  ledger_.reserve(id, bytes);
  version.phase = Phase::kReading;
  version.load_began = now;
  version.reason.clear();
  ++job_count_;
  version.kv_capacity = kv_capacity(version.sizes, kv_bytes);
  actions_.emplace_back(LoadVersion{id, kv_bytes, bytes, version.kv_capacity});
}

std::uint64_t Lifecycle::bytes_on_their_way(std::size_t& count) const {
  std::uint64_t bytes = 0;
  count = 0;
  for (const auto& [id, version] : versions_) {
    if (version.resize_to > 0 && version.resize_to < version.loaded.kv_bytes) {
      bytes += version.loaded.kv_bytes - version.resize_to;
    }
    if (version.phase != Phase::kRetiring) continue;
    const std::uint64_t reserved = ledger_.reserved_by(id);
    if (version.keep == Keep::kWeights) {
      bytes += reserved - std::min(reserved, version.loaded.fixed_bytes + version.next_kv_bytes);
    } else {
      bytes += reserved;
      ++count;
    }
  }
  return bytes;
}

bool Lifecycle::make_room(VersionId id, std::uint64_t needed, std::size_t excess, TimePoint now) {
  const Version& version = at(id);
  std::size_t leaving = 0;
  const std::uint64_t coming = bytes_on_their_way(leaving);
  const std::uint64_t free = free_now();
  const std::uint64_t missing = needed - std::min(needed, free + coming);
  const std::size_t missing_count = excess - std::min(excess, leaving);
  if (missing == 0 && missing_count == 0 && (coming > 0 || leaving > 0)) return true;
  if (!version.may_evict) return false;
  if (missing_count == 0 && shrink_pools(id, missing, now)) return true;
  if (evict(id, missing, missing_count, false, now)) return true;
  // What is being loaded now, or shrunk, can leave when it is ready.
  if (job_count_ > 0 || coming > 0 || leaving > 0) return true;
  if (evict(id, missing, missing_count, true, now)) return true;
  return drain_former(id, now);
}

bool Lifecycle::may_leave(VersionId candidate, VersionId for_whom) const {
  const Version& version = at(candidate);
  if (version.state != VersionState::kReady || version.phase != Phase::kIdle) return false;
  if (version.spec.pinned || version.held || version.resident) return false;
  // The version that serves while its successor is loaded stays, unless nothing else helps.
  const Model& model = model_of(version);
  return !(model.swap && model.swap->to == for_whom && model.swap->from == candidate);
}

bool Lifecycle::may_resize(const Version& version) {
  return may_rebuild(version) && !version.sizes.kv_has_windows;
}

bool Lifecycle::may_rebuild(const Version& version) {
  return version.state == VersionState::kReady && version.phase == Phase::kIdle &&
         !version.resident && !version.sizes.kv_is_fixed && version.resize_to == 0;
}

// Whether it grows.
bool Lifecycle::note_pool_size(VersionId id, std::uint64_t kv_bytes, std::string_view why) {
  const std::uint64_t from = at(id).loaded.kv_bytes;
  const bool grows = kv_bytes > from;
  note(id,
       grows ? "grown" : "shrunk",
       str("KV pool from ", format_bytes(from), " to ", format_bytes(kv_bytes), why));
  return grows;
}

void Lifecycle::rebuild_pool(VersionId id, std::uint64_t kv_bytes, std::string_view why) {
  Version& version = at(id);
  const bool grows = note_pool_size(id, kv_bytes, why);
  version.next_kv_bytes = kv_bytes;
  if (grows) ledger_.reserve(id, version.loaded.fixed_bytes + kv_bytes);
}

// What its pool can do without: all beyond a whole context, and beyond what its requests use with a
// quarter to grow into.
std::uint64_t Lifecycle::spare_kv(const Version& version) const {
  const std::uint64_t used = is_idle(version) ? 0 : version.use.kv_used_bytes;
  const std::uint64_t needed =
      std::max({version.sizes.kv_floor_bytes, version.sizes.kv_min_bytes, used + used / 4});
  return version.loaded.kv_bytes - std::min(version.loaded.kv_bytes, needed);
}

void Lifecycle::resize_pool(VersionId id, std::uint64_t kv_bytes, std::string_view why) {
  Version& version = at(id);
  const bool grows = note_pool_size(id, kv_bytes, why);
  version.resize_to = kv_bytes;
  // Bytes are reserved before they can be used, and free after they were given back.
  if (grows) ledger_.reserve(id, version.loaded.fixed_bytes + kv_bytes);
  actions_.emplace_back(ResizePool{id, kv_bytes});
}

// Pools give what they can do without, also those of models in use: nobody stops serving for that,
// but idle models with windows, whose pools are built anew.
bool Lifecycle::shrink_pools(VersionId id, std::uint64_t missing, TimePoint now) {
  std::vector<std::pair<std::uint64_t, VersionId>> gains;
  std::uint64_t sum = 0;
  for (const auto& [other, version] : versions_) {
    const bool may_give =
        may_resize(version) || (may_rebuild(version) && may_leave(other, id) && is_idle(version));
    if (!may_give || spare_kv(version) == 0) continue;
    gains.emplace_back(spare_kv(version), other);
    sum += spare_kv(version);
  }
  if (missing == 0 || sum < missing) return false;
  std::sort(gains.rbegin(), gains.rend());
  for (const auto& [gain, other] : gains) {
    if (missing == 0) break;
    const std::uint64_t taken = std::min(gain, missing);
    missing -= taken;
    const std::uint64_t left = at(other).loaded.kv_bytes - taken;
    const std::string why = str(" for '", label(at(id)), "'");
    if (may_resize(at(other))) {
      resize_pool(other, left, why);
    } else {
      rebuild_pool(other, left, why);
      retire(other, Keep::kWeights, limits::kRequestTimeout, "its KV pool shrinks", now);
    }
  }
  return true;
}

// With `busy` also models with requests on them, which finish first; after some patience only,
// since an idle one is better.
bool Lifecycle::evict(
    VersionId id, std::uint64_t missing, std::size_t excess, bool busy, TimePoint now) {
  std::vector<EvictionCandidate> candidates;
  for (const auto& [other, version] : versions_) {
    if (!may_leave(other, id) || (!busy && !is_idle(version))) continue;
    candidates.push_back({.id = other,
                          .bytes = ledger_.reserved_by(other),
                          .reload_seconds = version.load_seconds,
                          .popularity = version.popularity.at(now),
                          .last_used = std::max(version.use.last_used, version.ready_at)});
  }
  const std::vector<VersionId> leaving =
      choose_evictions(std::move(candidates), missing, excess, options_.eviction);
  if (leaving.empty()) return false;
  if (busy && now - at(id).memory_wait_began < kBusyPatience) return true;
  for (const VersionId other : leaving) {
    ++eviction_count_;
    note(other,
         "evicted",
         str(format_bytes(ledger_.reserved_by(other)), " for '", label(at(id)), "'"));
    retire(other,
           Keep::kNothing,
           limits::kRequestTimeout,
           str("evicted for '", label(at(id)), "'"),
           now);
  }
  return true;
}

// The last resort of a swap: the version that serves leaves first, and requests wait.
bool Lifecycle::drain_former(VersionId id, TimePoint now) {
  Model& model = model_of(at(id));
  if (!model.swap || model.swap->to != id || model.swap->drain_first) return false;
  Version& former = at(model.swap->from);
  if (former.state != VersionState::kReady || former.phase != Phase::kIdle || former.held ||
      former.resident) {
    return false;
  }
  const std::uint64_t needed = at(id).sizes.fixed_bytes + at(id).sizes.kv_min_bytes;
  std::uint64_t possible = free_now() + ledger_.reserved_by(model.swap->from);
  for (const auto& [other, version] : versions_) {
    if (may_leave(other, id)) possible += ledger_.reserved_by(other);
  }
  if (possible < needed) return false;
  model.swap->drain_first = true;
  note(id,
       "drain_first",
       str("memory does not hold both versions (",
           format_bytes(needed),
           " needed, ",
           format_bytes(free_now()),
           " free): '",
           label(former),
           "' is unloaded first and requests wait"));
  retire(model.swap->from,
         Keep::kNothing,
         limits::kRequestTimeout,
         str("makes room for version ", at(id).spec.version),
         now);
  return true;
}

Status Lifecycle::no_room(VersionId id, std::uint64_t needed) const {
  const Version& version = at(id);
  std::uint64_t stuck = 0;
  std::string holders;
  for (const auto& [other, candidate] : versions_) {
    const std::uint64_t bytes = ledger_.reserved_by(other);
    if (other == id || bytes == 0 || (version.may_evict && may_leave(other, id))) continue;
    stuck += bytes;
    if (holders.size() < 200) holders += str(holders.empty() ? "" : ", ", label(candidate));
  }
  std::string text = str("not enough memory: weights ",
                         format_bytes(version.sizes.weight_bytes),
                         ", KV cache of at least ",
                         format_bytes(version.sizes.kv_min_bytes),
                         " and workspace ",
                         format_bytes(version.sizes.fixed_bytes - version.sizes.weight_bytes),
                         " need ",
                         format_bytes(needed),
                         ", but ",
                         format_bytes(free_now()),
                         " of the memory budget of ",
                         format_bytes(ledger_.budget_bytes()),
                         " are available");
  if (stuck > 0) {
    text += str("; ", format_bytes(stuck), " are held by models that do not leave: ", holders);
  }
  if (options_.loaded_count_max > 0 && loaded_count() >= options_.loaded_count_max) {
    text += str("; ", loaded_count(), " models are loaded of at most ", options_.loaded_count_max);
  }
  return resource_exhausted(std::move(text))
      .with_hint(
          "unload or unpin another model, raise memory_budget_mib, choose a smaller KV cache, or "
          "serve a smaller model");
}

// Memory that nobody waits for goes to pools that are short, and to those that were cut short.
void Lifecycle::grow_pools(TimePoint now) {
  if (!queue_.empty() || job_count_ > 0 || shut_down_) return;
  for (const auto& [id, version] : versions_) {
    if (!may_rebuild(version)) continue;
    if (!is_idle(version) && version.use.kv_is_short) {
      if (may_resize(version)) grow_short_pool(id, now);
    } else if (is_idle(version)) {
      grow_idle_pool(id, now);
    }
    if (job_count_ > 0 || version.phase != Phase::kIdle) return;  // one at a time
  }
}

// Requests wait for blocks: the pool doubles, with what is free and with what other pools do not
// use. Those give it up first; the pool grows when it is free.
void Lifecycle::grow_short_pool(VersionId id, TimePoint now) {
  const Version& version = at(id);
  if (now < later(version.resized_at, kResizePause)) return;
  const std::uint64_t now_bytes = version.loaded.kv_bytes;
  const std::uint64_t wanted = std::min(2 * now_bytes, version.kv_capacity);
  if (wanted <= now_bytes) return;
  const std::uint64_t target = std::min(wanted, now_bytes + free_now());
  // Less than an eighth more is not worth the calls.
  if (target - now_bytes >= std::max<std::uint64_t>(now_bytes / 8, 1)) {
    resize_pool(id, target, ": its requests wait for blocks");
    return;
  }
  std::size_t leaving = 0;
  if (bytes_on_their_way(leaving) > 0) return;
  std::uint64_t missing = wanted - target;
  for (const auto& [other, donor] : versions_) {
    if (other == id || missing == 0 || !may_resize(donor) || donor.use.kv_is_short) continue;
    if (now < later(donor.resized_at, kResizePause)) continue;
    // Half of what it could do without: it may need more in a moment.
    const std::uint64_t taken = std::min(spare_kv(donor) / 2, missing);
    if (taken < donor.loaded.kv_bytes / 8 || taken == 0) continue;
    missing -= taken;
    resize_pool(other, donor.loaded.kv_bytes - taken, str(" for '", label(version), "'"));
  }
}

// A pool that was made when memory was short, of a model in use now and then. One that does not
// hold a whole context is built anew, because the model then serves longer ones, too; and one of a
// model with windows, because it is two.
void Lifecycle::grow_idle_pool(VersionId id, TimePoint now) {
  const Version& version = at(id);
  if (now < later(std::max(version.use.last_used, version.ready_at), kGrowIdle)) return;
  if (version.popularity.at(now) < 0.5) return;  // not used of late
  const std::uint64_t now_bytes = version.loaded.kv_bytes;
  const std::uint64_t target = choose_kv(version.sizes, free_now() + now_bytes);
  if (target < 2 * now_bytes) return;
  if (may_resize(version) && now_bytes >= version.sizes.kv_floor_bytes) {
    if (std::min(target, version.kv_capacity) > now_bytes) {
      resize_pool(id, std::min(target, version.kv_capacity), "");
    }
    return;
  }
  rebuild_pool(id, target, "");
  retire(id, Keep::kWeights, limits::kRequestTimeout, "its KV pool grows", now);
}

}  // namespace inferneo::manager
