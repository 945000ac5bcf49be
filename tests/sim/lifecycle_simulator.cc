#include "lifecycle_simulator.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "manager/lifecycle.h"
#include "random.h"

namespace inferneo::sim {
namespace {

using namespace manager;
using std::chrono::milliseconds;
using std::chrono::seconds;

using Random = SeededRandom<std::uint64_t>;

// What a version is in the world outside the state machine.
struct Artefact {
  std::string name;
  std::string version;
  VersionSizes sizes;
  double failure_rate = 0;
  Duration load_time{};
  // In memory now: its bytes, and who holds it.
  bool in_memory = false;
  bool retiring = false;
  Keep keep = Keep::kNothing;
  std::uint64_t bytes = 0;
  std::set<std::uint64_t> leases;
  std::uint64_t request_count = 0;
  TimePoint last_used{};
  std::optional<Duration> keep_alive;
  bool cancel_asked = false;
  std::uint64_t incarnation = 0;  // counts loads
};

struct Request {
  VersionId version = 0;  // it named this one; 0 for whatever is live
  std::string name;
  TimePoint deadline{};
};

struct Due {
  TimePoint at{};
  enum class Kind { kPlanned, kLoaded, kRetired, kResized, kLeaseEnds } kind = Kind::kPlanned;
  VersionId version = 0;
  std::uint64_t lease = 0;
  std::uint64_t kv_bytes = 0;
  std::uint64_t bytes_max = 0;
  std::uint64_t incarnation = 0;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), lifecycle_(make_options()) { populate(); }
  LifecycleResult run();

 private:
  LifecycleOptions make_options();
  void populate();
  void add_version(const std::string& name, const std::string& version);
  void act();
  void request();
  void operate();
  void carry_out();
  void carry_out(Action& action);
  void begin(Due due);
  void happen(const Due& due);
  void maybe_retired(VersionId id);
  void resized(const Due& due);
  void sample();
  void check();
  void finish();
  VersionId any_version();
  void fail(const std::string& what) {
    if (result_.failure.empty()) result_.failure = what;
  }
  void trace(std::uint64_t value) {
    result_.trace_hash = Random(result_.trace_hash ^ value).bits();
  }

  Random random_;
  TimePoint now_{seconds(1000)};
  std::uint64_t budget_ = 0;
  // Set with the options, and so declared before what is made of these.
  double request_rate_ = 0;
  double operator_rate_ = 0;
  double abandon_rate_ = 0;
  bool is_calm_ = false;  // nothing new any more
  Lifecycle lifecycle_;
  std::map<VersionId, Artefact> artefacts_;
  std::map<TicketId, Request> waiting_;
  std::map<std::uint64_t, VersionId> leases_;
  std::set<TicketId> answered_;
  std::vector<Due> dues_;
  TicketId last_ticket_ = 0;
  std::uint64_t last_lease_ = 0;
  LifecycleResult result_;
};

LifecycleOptions World::make_options() {
  LifecycleOptions options;
  budget_ = random_.between(200, 1500);
  options.budget_bytes = budget_;
  options.loaded_count_max =
      random_.chance(0.3) ? static_cast<std::int32_t>(random_.between(1, 4)) : 0;
  options.eviction = random_.chance(0.5) ? EvictionOrder::kCost : EvictionOrder::kLru;
  options.job_count_max = static_cast<std::int32_t>(random_.between(1, 3));
  options.waiting_count_max = static_cast<std::int32_t>(random_.between(1, 20));
  if (random_.chance(0.4)) options.keep_alive = seconds(random_.between(1, 60));
  options.sleep_when_idle = random_.chance(0.4);
  request_rate_ = random_.chance(0.5) ? 0.9 : 0.3;
  operator_rate_ = random_.chance(0.5) ? 0.15 : 0.02;
  abandon_rate_ = random_.chance(0.4) ? 0.1 : 0;
  return options;
}

void World::populate() {
  const std::uint64_t model_count = random_.between(1, 8);
  for (std::uint64_t i = 0; i < model_count; ++i) {
    const std::uint64_t version_count = random_.chance(0.5) ? random_.between(2, 3) : 1;
    for (std::uint64_t v = 1; v <= version_count; ++v) add_version(str("m", i), str(v));
  }
}

void World::add_version(const std::string& name, const std::string& version) {
  const VersionSpec spec{.name = name,
                         .version = version,
                         .pinned = random_.chance(0.05),
                         .keep_alive = random_.chance(0.1)
                                           ? std::optional<Duration>(seconds(random_.between(0, 9)))
                                           : std::nullopt};
  const Result<VersionId> id = lifecycle_.add(spec, now_);
  if (!id.has_value()) return;
  Artefact& artefact = artefacts_[*id];
  artefact.name = name;
  artefact.version = version;
  VersionSizes& sizes = artefact.sizes;
  sizes.weight_bytes = random_.between(10, random_.chance(0.05) ? 2000 : 300);
  sizes.fixed_bytes = sizes.weight_bytes + random_.between(1, 20);
  sizes.kv_min_bytes = random_.between(1, 10);
  sizes.kv_floor_bytes = sizes.kv_min_bytes + random_.between(0, 50);
  sizes.kv_max_bytes = sizes.kv_floor_bytes + random_.between(0, 500);
  sizes.kv_wish_bytes = random_.between(1, 500);
  if (random_.chance(0.2)) {
    sizes.kv_is_fixed = true;
    sizes.kv_floor_bytes = sizes.kv_max_bytes = sizes.kv_wish_bytes = sizes.kv_min_bytes;
  }
  sizes.kv_has_windows = random_.chance(0.2);
  artefact.failure_rate = random_.chance(0.2) ? 0.5 : 0;
  artefact.load_time = milliseconds(random_.between(1, 3000));
}

VersionId World::any_version() {
  if (artefacts_.empty()) return 0;
  auto at = artefacts_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_.between(0, artefacts_.size() - 1)));
  return at->first;
}

void World::request() {
  const VersionId id = any_version();
  if (id == 0) return;
  Artefact& artefact = artefacts_[id];
  const bool firm = random_.chance(0.3);
  const VersionId target = firm ? id : lifecycle_.live_of(artefact.name);
  // What the data plane does: a ready version is leased without asking.
  if (target != 0 && artefacts_[target].in_memory && !artefacts_[target].retiring &&
      lifecycle_.view(target).state == VersionState::kReady && lifecycle_.view(target).served) {
    Artefact& ready = artefacts_[target];
    const std::uint64_t lease = ++last_lease_;
    ready.leases.insert(lease);
    leases_[lease] = target;
    ++ready.request_count;
    ready.last_used = now_;
    if (random_.chance(0.1)) ready.keep_alive = seconds(random_.between(0, 20));
    begin({.at = now_ + milliseconds(random_.between(1, 5000)),
           .kind = Due::Kind::kLeaseEnds,
           .version = target,
           .lease = lease});
    ++result_.granted;
    return;
  }
  const TicketId ticket = ++last_ticket_;
  const TimePoint deadline = now_ + milliseconds(random_.between(100, 60'000));
  waiting_[ticket] = {firm ? id : 0, artefact.name, deadline};
  lifecycle_.wait(
      ticket, artefact.name, firm || random_.chance(0.1) ? id : 0, firm, deadline, now_);
}

void World::operate() {
  const VersionId id = any_version();
  if (id == 0) return;
  const Artefact& artefact = artefacts_[id];
  Status ignored;
  switch (random_.between(0, 12)) {
    case 0:
      ignored = lifecycle_.load(id, random_.chance(0.5), now_);
      break;
    case 1:
      ignored =
          lifecycle_.unload(id, Keep::kNothing, milliseconds(random_.chance(0.3) ? 0 : 4000), now_);
      break;
    case 2:
      ignored = lifecycle_.unload(id, Keep::kFiles, seconds(600), now_);
      break;
    case 3:
    case 4:
    case 5:
      ignored = lifecycle_.swap(id, random_.chance(0.7), now_);
      break;
    case 6:
      lifecycle_.set_pinned(id, random_.chance(0.2), now_);
      break;
    case 7:
      if (random_.chance(0.5)) {
        ignored = lifecycle_.hold(id, now_);
      } else {
        lifecycle_.release(id, now_);
      }
      break;
    case 8:
      lifecycle_.release(id, now_);
      break;
    case 9:
      lifecycle_.set_policy(artefact.name,
                            random_.chance(0.5)
                                ? VersionPolicy{}
                                : VersionPolicy{.kind = VersionPolicy::Kind::kLatest,
                                                .latest_count = 1,
                                                .versions = {}},
                            now_);
      break;
    case 10:
      if (random_.chance(0.3)) {
        ++result_.removed;
        lifecycle_.remove(id, now_);
      } else {
        add_version(artefact.name, str(random_.between(1, 9)));
      }
      break;
    case 11:
      if (lifecycle_.view(id).served) lifecycle_.set_live(id, now_);
      break;
    default:
      add_version(str("m", random_.between(0, 9)), "1");
      break;
  }
}

void World::begin(Due due) { dues_.push_back(due); }

void World::carry_out() {
  for (;;) {
    std::vector<Action> actions = lifecycle_.take_actions();
    if (actions.empty()) return;
    for (Action& action : actions) carry_out(action);
    check();
  }
}

void World::carry_out(Action& action) {
  trace(action.index());
  if (const auto* plan = std::get_if<PlanVersion>(&action)) {
    begin({.at = now_ + milliseconds(random_.between(0, 20)),
           .kind = Due::Kind::kPlanned,
           .version = plan->version});
  } else if (const auto* load = std::get_if<LoadVersion>(&action)) {
    Artefact& artefact = artefacts_.at(load->version);
    if (artefact.in_memory) fail("a version is loaded twice");
    const Duration time = artefact.keep == Keep::kWeights && artefact.bytes > 0
                              ? Duration(milliseconds(5))
                              : artefact.load_time;
    begin({.at = now_ + time,
           .kind = Due::Kind::kLoaded,
           .version = load->version,
           .kv_bytes = load->kv_bytes,
           .bytes_max = load->bytes_max});
    artefact.bytes = load->bytes_max;  // from now on it may take that much
  } else if (const auto* retire = std::get_if<RetireVersion>(&action)) {
    Artefact& artefact = artefacts_.at(retire->version);
    if (!artefact.in_memory || artefact.retiring) fail("what is not in memory is retired");
    artefact.retiring = true;
    artefact.keep = retire->keep;
    artefact.cancel_asked = false;
    if (retire->keep == Keep::kFiles) ++result_.slept;
    maybe_retired(retire->version);
  } else if (const auto* resize = std::get_if<ResizePool>(&action)) {
    Artefact& artefact = artefacts_.at(resize->version);
    if (!artefact.in_memory || artefact.retiring) fail("a pool that does not serve is resized");
    const std::uint64_t bytes = artefact.sizes.fixed_bytes + resize->kv_bytes;
    ++result_.resized;
    if (!artefact.leases.empty()) ++result_.busy_resized;
    artefact.bytes = std::max(artefact.bytes, bytes);  // from now on it may take that much
    begin({.at = now_ + milliseconds(random_.between(0, 50)),
           .kind = Due::Kind::kResized,
           .version = resize->version,
           .kv_bytes = resize->kv_bytes,
           .incarnation = artefact.incarnation});
  } else if (const auto* cancel = std::get_if<CancelRequests>(&action)) {
    Artefact& artefact = artefacts_.at(cancel->version);
    artefact.cancel_asked = true;
    for (Due& due : dues_) {
      if (due.kind == Due::Kind::kLeaseEnds && due.version == cancel->version) due.at = now_;
    }
  } else if (const auto* grant = std::get_if<GrantTicket>(&action)) {
    if (waiting_.erase(grant->ticket) == 0 && !answered_.contains(grant->ticket)) return;
    if (!answered_.insert(grant->ticket).second) fail("a request is answered twice");
    Artefact& artefact = artefacts_.at(grant->version);
    if (!artefact.in_memory || artefact.retiring) fail("a lease of a version that does not serve");
    const std::uint64_t lease = ++last_lease_;
    artefact.leases.insert(lease);
    leases_[lease] = grant->version;
    ++artefact.request_count;
    artefact.last_used = now_;
    begin({.at = now_ + milliseconds(random_.between(1, 5000)),
           .kind = Due::Kind::kLeaseEnds,
           .version = grant->version,
           .lease = lease});
    ++result_.granted;
  } else if (const auto* refuse = std::get_if<RefuseTicket>(&action)) {
    if (waiting_.erase(refuse->ticket) == 0) return;
    if (!answered_.insert(refuse->ticket).second) fail("a request is answered twice");
    if (refuse->status.ok() || refuse->status.message().empty()) fail("a refusal without reason");
    ++result_.refused;
    if (refuse->failed != 0 && refuse->status.code() == StatusCode::kResourceExhausted) {
      ++result_.no_room;
      if (refuse->status.message().find("need") == std::string::npos) fail("no numbers");
    }
  } else if (const auto* forget = std::get_if<ForgetVersion>(&action)) {
    if (artefacts_.at(forget->version).in_memory) fail("a version in memory is forgotten");
    artefacts_.erase(forget->version);
  } else if (const auto* state = std::get_if<NoteState>(&action)) {
    trace(static_cast<std::uint64_t>(state->to));
    if (!may_follow(state->from, state->to)) fail("a state follows that must not");
    if (state->to == VersionState::kFailed) ++result_.failed_loads;
  } else if (const auto* event = std::get_if<NoteEvent>(&action)) {
    if (event->kind == "evicted") {
      ++result_.evictions;
      if (!artefacts_.at(event->version).leases.empty()) ++result_.busy_evictions;
    }
    if (event->kind == "shrunk") ++result_.shrunk;
    if (event->kind == "grown") ++result_.grown;
    if (event->kind == "live") ++result_.swaps;
    if (event->kind == "swap_failed") ++result_.failed_swaps;
    if (event->kind == "drain_first") ++result_.drained_first;
    if (event->kind == "idle") ++result_.idle_unloads;
  }
}

void World::maybe_retired(VersionId id) {
  Artefact& artefact = artefacts_.at(id);
  if (!artefact.retiring || !artefact.leases.empty()) return;
  begin({.at = now_ + milliseconds(random_.between(0, 200)),
         .kind = Due::Kind::kRetired,
         .version = id});
}

void World::happen(const Due& due) {
  if (due.kind == Due::Kind::kLeaseEnds) {
    leases_.erase(due.lease);
    Artefact& artefact = artefacts_.at(due.version);
    artefact.leases.erase(due.lease);
    artefact.last_used = now_;
    if (artefact.leases.empty()) maybe_retired(due.version);
    return;
  }
  if (due.kind == Due::Kind::kResized) return resized(due);
  Artefact& artefact = artefacts_.at(due.version);
  switch (due.kind) {
    case Due::Kind::kPlanned:
      if (random_.chance(artefact.failure_rate / 2)) {
        lifecycle_.planned(due.version, not_found("the path is gone"), now_);
      } else {
        lifecycle_.planned(due.version, artefact.sizes, now_);
      }
      break;
    case Due::Kind::kLoaded: {
      ++result_.loads;
      if (random_.chance(artefact.failure_rate)) {
        artefact.bytes = 0;
        lifecycle_.loaded(due.version, corrupt_data("a tensor is damaged"), now_);
        break;
      }
      if (random_.chance(0.5)) lifecycle_.warming(due.version, now_);
      artefact.in_memory = true;
      ++artefact.incarnation;
      artefact.retiring = false;
      const LoadedSizes sizes{.fixed_bytes = artefact.sizes.fixed_bytes,
                              .weight_bytes = artefact.sizes.weight_bytes,
                              .kv_bytes = due.kv_bytes};
      artefact.bytes = sizes.fixed_bytes + sizes.kv_bytes;
      if (artefact.bytes > due.bytes_max) fail("more is loaded than was granted");
      lifecycle_.loaded(due.version, sizes, now_);
      break;
    }
    case Due::Kind::kRetired:
      artefact.in_memory = false;
      artefact.retiring = false;
      artefact.bytes = artefact.keep == Keep::kWeights ? artefact.sizes.fixed_bytes : 0;
      lifecycle_.retired(due.version, now_);
      // What was kept for a smaller pool goes where the state machine has changed its mind.
      if (const auto at = artefacts_.find(due.version); at != artefacts_.end()) {
        if (lifecycle_.ledger().reserved_by(due.version) == 0) at->second.bytes = 0;
      }
      break;
    case Due::Kind::kResized:
    case Due::Kind::kLeaseEnds:
      break;
  }
}

// An engine that is retired meanwhile may answer or not; one that is gone does not.
void World::resized(const Due& due) {
  const auto found = artefacts_.find(due.version);
  if (found == artefacts_.end() || found->second.incarnation != due.incarnation) return;
  Artefact& artefact = found->second;
  if (!artefact.in_memory) return;
  if (!artefact.retiring) artefact.bytes = artefact.sizes.fixed_bytes + due.kv_bytes;
  if (!artefact.retiring || random_.chance(0.5)) {
    lifecycle_.resized(due.version, due.kv_bytes, now_);
  }
}

void World::sample() {
  for (const auto& [id, artefact] : artefacts_) {
    if (!artefact.in_memory || artefact.retiring) continue;
    lifecycle_.use(
        id,
        {.lease_count = static_cast<std::int32_t>(artefact.leases.size()),
         .request_count = artefact.request_count,
         .last_used = artefact.last_used,
         .keep_alive = artefact.keep_alive,
         .kv_used_bytes = random_.between(0, artefact.bytes - artefact.sizes.fixed_bytes),
         .kv_is_short = !artefact.leases.empty() && random_.chance(0.1)},
        now_);
  }
}

void World::check() {
  if (std::string broken = lifecycle_.broken_invariant(); !broken.empty()) fail(broken);
  std::uint64_t bytes = 0;
  for (const auto& [id, artefact] : artefacts_) {
    bytes += artefact.bytes;
    if (artefact.bytes > lifecycle_.ledger().reserved_by(id)) {
      fail(str(artefact.name, ":", artefact.version, " takes memory that is not reserved"));
    }
    for (const std::uint64_t lease : artefact.leases) {
      if (leases_.at(lease) != id) fail("a lease has changed its version");
    }
    if (!artefact.leases.empty() && !artefact.in_memory) fail("a leased version left memory");
  }
  if (bytes > budget_) fail("memory above the budget");
}

void World::act() {
  sample();
  lifecycle_.tick(now_);
  carry_out();
  if (!is_calm_ && random_.chance(request_rate_)) request();
  if (!is_calm_ && random_.chance(operator_rate_)) operate();
  if (!is_calm_ && !waiting_.empty() && random_.chance(abandon_rate_)) {
    const TicketId ticket = waiting_.begin()->first;
    waiting_.erase(ticket);
    lifecycle_.abandon(ticket);
    ++result_.abandoned;
  }
  carry_out();
}

LifecycleResult World::run() {
  constexpr std::uint64_t kEventCount = 200;
  // Bound: far above what any world of this size needs; reaching it means that nothing moves.
  constexpr std::uint64_t kStepCountMax = 20'000;
  std::uint64_t events = 0;
  while (result_.failure.empty()) {
    is_calm_ = ++events > kEventCount;
    act();
    if (++result_.steps > kStepCountMax) fail("the simulation does not come to an end");
    for (const auto& [ticket, waiting] : waiting_) {
      if (waiting.deadline + seconds(10) < now_) fail("a request waits beyond its deadline");
    }
    TimePoint next = is_calm_ ? TimePoint::max() : now_ + milliseconds(random_.between(1, 3000));
    next = std::min(next, lifecycle_.next_tick(now_));
    for (const Due& due : dues_) next = std::min(next, due.at);
    if (is_calm_ && dues_.empty() && waiting_.empty()) break;
    if (next == TimePoint::max()) {
      fail("somebody waits and nothing will happen");
      break;
    }
    now_ = std::max(now_ + Duration(1), next);
    for (;;) {
      const auto due = std::find_if(
          dues_.begin(), dues_.end(), [this](const Due& entry) { return entry.at <= now_; });
      if (due == dues_.end()) break;
      const Due happening = *due;
      dues_.erase(due);
      sample();
      happen(happening);
      carry_out();
    }
  }
  finish();
  return result_;
}

// Everything can be unloaded, and then nothing is reserved.
void World::finish() {
  if (!result_.failure.empty()) return;
  lifecycle_.shut_down(now_);
  std::vector<VersionId> ids;
  for (const auto& [id, artefact] : artefacts_) ids.push_back(id);
  for (const VersionId id : ids) lifecycle_.remove(id, now_);
  for (int round = 0; round < 10'000 && result_.failure.empty(); ++round) {
    carry_out();
    if (dues_.empty()) break;
    const Due due = dues_.front();
    dues_.erase(dues_.begin());
    now_ = std::max(now_, due.at);
    happen(due);
  }
  carry_out();
  if (lifecycle_.ledger().reserved_bytes() != 0) fail("memory is reserved after the last unload");
  if (!artefacts_.empty()) fail("a removed version is still there");
}

}  // namespace

LifecycleResult& LifecycleResult::operator+=(const LifecycleResult& other) {
  steps += other.steps;
  granted += other.granted;
  refused += other.refused;
  abandoned += other.abandoned;
  loads += other.loads;
  failed_loads += other.failed_loads;
  evictions += other.evictions;
  busy_evictions += other.busy_evictions;
  shrunk += other.shrunk;
  resized += other.resized;
  busy_resized += other.busy_resized;
  grown += other.grown;
  swaps += other.swaps;
  failed_swaps += other.failed_swaps;
  drained_first += other.drained_first;
  idle_unloads += other.idle_unloads;
  slept += other.slept;
  removed += other.removed;
  no_room += other.no_room;
  return *this;
}

LifecycleResult simulate_lifecycle(std::uint64_t seed) { return World(seed).run(); }

}  // namespace inferneo::sim
