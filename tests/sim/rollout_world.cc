#include "rollout_world.h"

#include <algorithm>
#include <cmath>

#include "base/str.h"

namespace inferneo::manager {
namespace {

constexpr std::int64_t kUnixMs = 1'700'000'000'000;

TimePoint after(TimePoint at, double seconds) {
  return at + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

RolloutWorld::RolloutWorld(std::uint64_t seed) : random_(seed) {
  behaviours["1"] = {};
  behaviours["2"] = {};
  start_live();
}

bool RolloutWorld::chance(double probability) {
  return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
}
double RolloutWorld::uniform(double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random_);
}
int RolloutWorld::pick(int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random_);
}
double RolloutWorld::log_normal(double median, double sigma) {
  return median * std::exp(sigma * std::normal_distribution<double>()(random_));
}

void RolloutWorld::note(std::string_view what, std::string_view detail) {
  trace = routing::SubjectHash().add(str(trace)).add(what).add(detail).value();
}

void RolloutWorld::expect(bool holds, const std::string& what) {
  if (!holds && violation.empty()) violation = what;
}

void RolloutWorld::maybe_end() {
  if (end_rate > 0 && chance(end_rate)) throw ProcessEnds{};
}

RolloutEnvironment RolloutWorld::environment() {
  RolloutEnvironment environment;
  environment.host = this;
  environment.store = this;
  environment.clock = &clock;
  environment.unix_ms = [] { return kUnixMs; };
  environment.hooks = this;
  return environment;
}

void RolloutWorld::start_live() {
  Loaded& version = loaded[live];
  version.state = State::kReady;
  version.recorder = std::make_unique<observe::OutcomeRecorder>();
}

void RolloutWorld::restart() {
  loaded.clear();
  table = {};
  endings_ = {};
  golden_.clear();
  calls_.clear();
  shares.clear();
  served_by.clear();
  ++epoch_;
  start_live();
}

Result<std::string> RolloutWorld::live_version(std::string_view name) {
  if (name != kName) return not_found(str("the model '", name, "' does not exist"));
  return live;
}

Result<LoadPreview> RolloutWorld::preview(std::string_view, std::string_view version) {
  if (!behaviours.contains(std::string(version))) {
    return not_found(str("version '", version, "' does not exist"));
  }
  LoadPreview preview;
  preview.is_loaded = loaded[std::string(version)].state == State::kReady;
  preview.bytes_needed = preview.is_loaded ? 0 : 1 << 20;
  preview.bytes_available = 1 << 30;
  preview.fits = true;
  return preview;
}

Status RolloutWorld::hold(std::string_view, std::string_view version) {
  maybe_end();
  note("hold", version);
  const std::string key(version);
  if (!behaviours.contains(key)) return not_found(str("version '", version, "' does not exist"));
  Loaded& entry = loaded[key];
  entry.held = true;
  if (entry.state == State::kAbsent || entry.state == State::kFailed) {
    entry.state = State::kLoading;
    entry.died = false;
    entry.ready_at = clock.now() + behaviours[key].load_time;
  }
  maybe_end();
  return ok_status();
}

VersionHost::Version RolloutWorld::state(std::string_view, std::string_view version) {
  Loaded& entry = loaded[std::string(version)];
  Version found;
  found.state = entry.state;
  if (entry.state == State::kFailed) found.failure = corrupt_data("a tensor is missing");
  return found;
}

void RolloutWorld::release(std::string_view, std::string_view version) {
  maybe_end();
  note("release", version);
  expect(is_over, str("version ", version, " is released before the rollout has ended"));
  Loaded& entry = loaded[std::string(version)];
  entry.held = false;
  if (live != version) {
    entry.state = State::kAbsent;
    entry.recorder.reset();
  }
  maybe_end();
}

Status RolloutWorld::publish_split(const routing::Split& split) {
  maybe_end();
  note("split", str(split.candidate_share));
  const auto is_ready = [&](const std::string& version) {
    return loaded[version].state == State::kReady;
  };
  if (split.candidate_share > 0 && !is_ready(split.candidate)) {
    return failed_precondition(str("version ", split.candidate, " is not ready"));
  }
  if (split.candidate_share < routing::kWholeShare && !is_ready(split.stable)) {
    return failed_precondition(str("version ", split.stable, " is not ready"));
  }
  expect(split.name == kName, "a split of another name");
  expect(loaded[split.stable].held, "a share is published while the stable version is not held");
  expect(split.candidate_share == 0 || loaded[split.candidate].held,
         "a share is published for a version that is not held");
  expect(split.candidate_share == 0 || shares.empty() || split.candidate_share >= shares.back(),
         str("the share falls from ",
             shares.empty() ? 0 : shares.back(),
             " to ",
             split.candidate_share));
  expect(shares.empty() || shares.back() != 0 || split.candidate_share == 0,
         "a share grows again after it went back to zero");
  if (split.candidate_share > 0 || !shares.empty()) shares.push_back(split.candidate_share);
  table = table.with(split);
  maybe_end();
  return ok_status();
}

Status RolloutWorld::set_live(std::string_view, std::string_view version) {
  maybe_end();
  note("live", version);
  if (!behaviours.contains(std::string(version))) {
    return not_found(str("version '", version, "' does not exist"));
  }
  if (chance(set_live_failure_rate)) return resource_exhausted("the disk is full");
  live = std::string(version);
  table = table.without(kName);
  maybe_end();
  return ok_status();
}

observe::Outcomes RolloutWorld::outcomes(std::string_view, std::string_view version) {
  const Loaded& entry = loaded[std::string(version)];
  return entry.recorder != nullptr ? entry.recorder->read(clock.now()) : observe::Outcomes{};
}

Status RolloutWorld::start_golden(std::string_view,
                                  std::string_view version,
                                  std::span<const GoldenPrompt> prompts) {
  note("golden", version);
  expect(!prompts.empty(), "no golden prompts");
  if (loaded[std::string(version)].state != State::kReady) {
    return failed_precondition("the version is not ready");
  }
  golden_[std::string(version)] = clock.now() + std::chrono::milliseconds(200);
  return ok_status();
}

std::optional<GoldenOutcome> RolloutWorld::golden_outcome(std::string_view,
                                                          std::string_view version) {
  const std::string key(version);
  const auto run = golden_.find(key);
  if (run == golden_.end() || clock.now() < run->second || !behaviours[key].golden_answers) {
    return std::nullopt;
  }
  golden_.erase(run);
  GoldenOutcome outcome;
  if (behaviours[key].golden_passes) {
    outcome.passed = 3;
  } else {
    outcome.passed = 2;
    outcome.failed = 1;
    outcome.first_failure = "prompt 2: the answer lacks 'Paris'";
  }
  return outcome;
}

Status RolloutWorld::save(const RolloutRecord& record) {
  maybe_end();
  if (chance(save_failure_rate)) return resource_exhausted("the disk is full");
  const std::string text = encode(record);
  note("save", phase_name(record.phase));
  records[record.id] = text;
  const Result<RolloutRecord> again = decode_rollout(text);
  expect(again.has_value(), again.status().to_string());
  if (again.has_value()) expect(encode(*again) == text, "a record changes when it is read");
  if (is_terminal(record.phase)) {
    expect(record.phase != RolloutPhase::kCompleted || live == record.candidate,
           "completed without the candidate being live");
    expect(record.phase == RolloutPhase::kCompleted || live == record.stable ||
               !behaviours.contains(record.stable),
           "went back without the stable version being live");
    is_over = true;
  }
  maybe_end();
  return ok_status();
}

Result<std::vector<RolloutRecord>> RolloutWorld::load() {
  std::vector<RolloutRecord> all;
  for (const auto& [id, text] : records) {
    ASSIGN_OR_RETURN(RolloutRecord record, decode_rollout(text));
    all.push_back(std::move(record));
  }
  return all;
}

std::uint64_t RolloutWorld::post(const std::string&, std::string body) {
  hooks.push_back(std::move(body));
  calls_[hooks.size()] = {clock.now() + hook_time, chance(hook_failure_rate)};
  return hooks.size();
}

std::optional<Status> RolloutWorld::outcome(std::uint64_t call) {
  const auto found = calls_.find(call);
  if (found == calls_.end() || clock.now() < found->second.first) return std::nullopt;
  const bool failed = found->second.second;
  calls_.erase(found);
  return failed ? unavailable("answered 500 three times") : ok_status();
}

void RolloutWorld::advance(Duration by) {
  // Steps short enough for what the controller looks at.
  constexpr Duration kStep = std::chrono::milliseconds(20);
  for (Duration left = by; left > Duration::zero();) {
    const Duration step = std::min(left, kStep);
    left -= step;
    clock.advance(step);
    const double seconds = to_seconds(step);
    for (auto& [version, entry] : loaded) {
      if (entry.state == State::kLoading && clock.now() >= entry.ready_at) {
        entry.state = behaviours[version].loads ? State::kReady : State::kFailed;
        entry.recorder = std::make_unique<observe::OutcomeRecorder>();
      }
      // Spells of 300 ms on average.
      if (entry.bursts ? chance(seconds / 0.3)
                       : chance(seconds / 0.3 * traffic.burst_share / (1 - traffic.burst_share))) {
        entry.bursts = !entry.bursts;
      }
    }
    // Spells of 2 s on average.
    const double slow = traffic.machine_slow_share;
    if (machine_slow_ ? chance(seconds / 2) : chance(seconds / 2 * slow / (1 - slow))) {
      machine_slow_ = !machine_slow_;
    }
    // Exponential gaps: arrivals are a Poisson process.
    due_ -= seconds * traffic.requests_per_second;
    while (due_ <= 0 && traffic.requests_per_second > 0) {
      begin_request();
      due_ += std::exponential_distribution<double>(1)(random_);
    }
    if (traffic.requests_per_second <= 0) due_ = 1;
    while (!endings_.empty() && endings_.top().at <= clock.now()) {
      const Ending ending = endings_.top();
      endings_.pop();
      finish(ending);
    }
  }
}

void RolloutWorld::begin_request() {
  const int subject = pick(0, traffic.subject_count - 1);
  const routing::Split* split = table.find(kName);
  const std::string version =
      split == nullptr ? live
                       : std::string(routing::version_for(
                             *split, routing::SubjectHash().add("user").add(str(subject)).value()));
  Loaded& entry = loaded[version];
  expect(entry.state == State::kReady || entry.died,
         str("a request goes to version ", version, ", not ready"));
  if (entry.recorder == nullptr || entry.died) return;
  std::string& last = served_by[subject];
  if (split != nullptr && last == split->candidate && version == split->stable &&
      split->candidate_share > 0) {
    ++moved_back;
  }
  last = version;
  ++routed[version];
  ++entry.request_count;
  entry.recorder->count_begun(clock.now());
  const Behaviour& behaviour = behaviours[version];
  if (behaviour.hangs) return;

  if (entry.known.empty()) entry.known.resize(static_cast<std::size_t>(traffic.subject_count));
  const bool cold = !entry.known[static_cast<std::size_t>(subject)];
  entry.known[static_cast<std::size_t>(subject)] = true;
  const double share = split == nullptr ? 1
                       : version == split->candidate
                           ? split->candidate_share / double{routing::kWholeShare}
                           : 1 - split->candidate_share / double{routing::kWholeShare};
  const double factor = (machine_slow_ ? traffic.machine_slow_factor : 1) *
                        (entry.bursts ? traffic.burst_factor : 1) *
                        (1 + traffic.load_slope * share);
  Ending ending;
  ending.version = version;
  ending.epoch = epoch_;
  ending.not_finite = chance(behaviour.not_finite_rate);
  ending.failed = ending.not_finite || chance(behaviour.error_rate) || chance(traffic.error_rate);
  const double first_token = log_normal(0.08, 0.5) * factor * behaviour.first_token_scale *
                             (cold ? traffic.cold_factor : 1);
  TimePoint at = after(clock.now(), first_token);
  ending.had_token = !ending.failed || chance(0.5);
  if (ending.had_token) {
    ending.kind = Ending::Kind::kFirstToken;
    ending.at = at;
    // A warm prompt computes fewer tokens, so that the time per computed token stays alike.
    ending.seconds = cold ? first_token : -first_token;
    endings_.push(ending);
    const double pace = log_normal(0.01, 0.2) * factor * behaviour.inter_token_scale;
    ending.kind = Ending::Kind::kPace;
    for (int chunk = pick(0, 2); chunk > 0; --chunk) {
      ending.seconds = pace * log_normal(1, 0.1);
      at = after(at, ending.seconds * observe::kPaceTokenCount);
      ending.at = at;
      endings_.push(ending);
    }
  }
  ending.kind = Ending::Kind::kEnd;
  ending.at = at;
  endings_.push(ending);
}

void RolloutWorld::finish(const Ending& ending) {
  Loaded& entry = loaded[ending.version];
  if (ending.epoch != epoch_ || entry.recorder == nullptr) return;
  switch (ending.kind) {
    case Ending::Kind::kFirstToken: {
      const double seconds = std::abs(ending.seconds);
      const double scale = ending.seconds > 0 ? traffic.cold_factor : 1;
      entry.recorder->observe_first_token(seconds, static_cast<std::int32_t>(100 * scale));
      break;
    }
    case Ending::Kind::kPace:
      entry.recorder->observe_inter_token(ending.seconds);
      break;
    case Ending::Kind::kEnd:
      entry.recorder->count(ending.not_finite ? observe::Outcome::kNonFinite
                            : ending.failed   ? observe::Outcome::kFailed
                                              : observe::Outcome::kSucceeded,
                            ending.had_token);
      break;
  }
}

}  // namespace inferneo::manager
