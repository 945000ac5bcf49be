#include "manager/rollout_machine.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using Phase = RolloutPhase;

// Looks of an extended validation, and the time between them.
constexpr std::int32_t kExtendedLooks = 3;
constexpr milliseconds kExtendedLookInterval{500};
// A tick that comes later than this after the one before counts as this long.
constexpr milliseconds kTickMax{1000};

const GoldenPrompt& built_in_prompt() {
  static const GoldenPrompt prompt{.prompt = "The", .max_tokens = 8, .expected = {}};
  return prompt;
}

std::string_view when_name(Webhook::When when) {
  static constexpr std::array<std::string_view, 3> kNames{"before_stage", "after_stage", "end"};
  return kNames[static_cast<std::size_t>(when)];
}

std::string hook_body(const RolloutRecord& record, Webhook::When when, std::int32_t percent) {
  text::Value body;
  body.set("event", when_name(when));
  body.set("rollout", record.id);
  body.set("name", record.name);
  body.set("stable", record.stable);
  body.set("candidate", record.candidate);
  body.set("percent", std::int64_t{percent});
  body.set("phase", phase_name(record.phase));
  body.set("reason", record.reason);
  return text::to_json(body);
}

Status refuse(const RolloutRecord& record, std::string_view command) {
  return failed_precondition(str("the rollout of '",
                                 record.name,
                                 "' is in phase ",
                                 phase_name(record.phase),
                                 ", in which it cannot be ",
                                 command));
}

}  // namespace

RolloutMachine::RolloutMachine(const RolloutEnvironment& environment, RolloutRecord record)
    : environment_(environment),
      host_(*environment.host),
      record_(std::move(record)),
      gates_(record_.policy.gates, Readings{}, environment.clock->now()),
      ticked_at_(environment.clock->now()),
      told_(record_.history.size()) {}

Status RolloutMachine::begin() {
  RolloutRecord next = record_;
  note(next, str("rollout of ", next.name, " from ", next.stable, " to ", next.candidate));
  RETURN_IF_ERROR(environment_.store->save(next));
  record_ = std::move(next);
  is_saved_ = true;
  Status held = host_.hold(record_.name, record_.stable);
  if (held.ok()) held = host_.hold(record_.name, record_.candidate);
  if (!held.ok()) {
    record_.reason = held.to_string();
    finish(Phase::kFailed);
    return held;
  }
  tell();
  return ok_status();
}

void RolloutMachine::take_up() {
  const Result<std::string> live = host_.live_version(record_.name);
  const bool was_completing = record_.phase == Phase::kCompleting;
  const Status stable = host_.hold(record_.name, record_.stable);
  const Status candidate = host_.hold(record_.name, record_.candidate);
  if (was_completing && live.has_value() && *live == record_.candidate) {
    is_live_ = true;
    finish(Phase::kCompleted);
    return;
  }
  if (record_.phase == Phase::kRollingBack) {
    set_phase(Phase::kRollingBack);
    return;
  }
  if (!stable.ok() || !candidate.ok()) {
    begin_rollback(Phase::kRolledBack,
                   str("after a restart a version is missing: ",
                       (stable.ok() ? candidate : stable).message()));
    return;
  }
  if (record_.policy.after_crash == AfterCrash::kRollback) {
    begin_rollback(Phase::kRolledBack, "the process ended in the middle of the rollout");
    return;
  }
  takes_up_ = true;
  RolloutRecord next = record_;
  next.phase = Phase::kLoading;
  next.candidate_percent = 0;
  if (!commit(std::move(next), "taken up after a restart")) record_.phase = Phase::kLoading;
  record_.candidate_percent = 0;
  set_phase(Phase::kLoading);
}

void RolloutMachine::tick() {
  const TimePoint now = environment_.clock->now();
  observed_ += std::min<Duration>(now - ticked_at_, kTickMax);
  ticked_at_ = now;
  if (is_done()) return;
  if (takes_requests() && !watch()) return;
  switch (record_.phase) {
    case Phase::kLoading:
      load();
      break;
    case Phase::kValidating:
      validate();
      break;
    case Phase::kBeforeStage:
      if ((!record_.paused || takes_up_) && await_hooks()) publish_stage();
      break;
    case Phase::kSettling:
      settle();
      break;
    case Phase::kExtended:
      extend();
      break;
    case Phase::kAfterStage:
      if (!record_.paused && await_hooks()) enter_next_stage();
      break;
    case Phase::kCompleting:
      complete();
      break;
    case Phase::kRollingBack:
      roll_back();
      break;
    default:
      break;
  }
}

// Everything that ends a rollout early, whatever its phase.
bool RolloutMachine::watch() {
  gates_.observe(read(), ticked_at_);
  const VersionHost::Version candidate = host_.state(record_.name, record_.candidate);
  if (candidate.state != VersionHost::State::kReady) {
    begin_rollback(Phase::kRolledBack,
                   str("version ",
                       record_.candidate,
                       " is not ready any more",
                       candidate.failure.ok() ? "" : ": ",
                       candidate.failure.message()));
    return false;
  }
  if (gates_.verdict() != Verdict::kFail) return true;
  if (record_.policy.on_failure == OnFailure::kPause && record_.paused) return true;
  fail(gates_.failure());
  return false;
}

void RolloutMachine::load() {
  for (const std::string& version : {record_.stable, record_.candidate}) {
    const VersionHost::Version found = host_.state(record_.name, version);
    if (found.state == VersionHost::State::kReady) continue;
    if (found.state == VersionHost::State::kFailed) {
      begin_rollback(Phase::kFailed,
                     str("version ", version, " did not load: ", found.failure.message()));
    } else if (phase_age() >= record_.policy.load_timeout) {
      begin_rollback(Phase::kFailed,
                     str("version ",
                         version,
                         " was not ready after ",
                         to_seconds(record_.policy.load_timeout),
                         " s"));
    }
    return;
  }
  if (record_.paused && !takes_up_) return;
  if (!golden_runs_ && !start_golden()) return;
  RolloutRecord next = record_;
  next.phase = Phase::kValidating;
  if (!commit(std::move(next), "both versions are ready")) return;
  set_phase(Phase::kValidating);
}

void RolloutMachine::validate() {
  if (golden_runs_) {
    const std::optional<GoldenOutcome> outcome = golden_outcome();
    if (!outcome) return;
    if (outcome->failed > 0) {
      begin_rollback(takes_up_ ? Phase::kRolledBack : Phase::kFailed,
                     str("golden prompts before any request: ", outcome->first_failure));
      return;
    }
    gates_ = RolloutGates(record_.policy.gates, read(), ticked_at_);
    gates_.set_golden(*outcome);
  }
  if (!record_.paused || takes_up_) enter_next_stage();
}

void RolloutMachine::settle() {
  if (record_.paused) return;
  const bool is_below_half = record_.candidate_percent < 50;
  const Duration settle_time =
      is_below_half ? record_.policy.settle_below_half : record_.policy.settle_from_half;
  if (phase_age() < settle_time) return;
  switch (gates_.verdict()) {
    case Verdict::kPass:
      stage_passed("passed");
      return;
    case Verdict::kInconclusive:
      if (gates_.is_idle() || phase_age() >= settle_time + record_.policy.evidence_timeout) {
        decide_inconclusive();
      }
      return;
    case Verdict::kFail:
      return;  // paused by on_failure
  }
}

void RolloutMachine::decide_inconclusive() {
  const std::string what =
      gates_.is_idle() ? "inconclusive: there were no requests" : "inconclusive: too few requests";
  switch (record_.policy.on_inconclusive) {
    case OnInconclusive::kAdvance:
      stage_passed(what);
      return;
    case OnInconclusive::kPause: {
      RolloutRecord next = record_;
      next.paused = true;
      next.reason = what;
      commit(std::move(next), str("paused: ", what));
      return;
    }
    case OnInconclusive::kRollback:
      begin_rollback(Phase::kRolledBack, what);
      return;
  }
}

// The settle time of a stage is over and nothing speaks against going on.
void RolloutMachine::stage_passed(std::string_view verdict) {
  const std::string event = str("stage of ", record_.candidate_percent, " % ", verdict);
  const std::vector<std::int32_t>& extended = record_.policy.extended_percent;
  const bool is_extended =
      std::find(extended.begin(), extended.end(), record_.candidate_percent) != extended.end();
  if (is_extended && record_.phase == Phase::kSettling) {
    if (!golden_runs_ && !start_golden()) return;
    RolloutRecord next = record_;
    next.phase = Phase::kExtended;
    if (!commit(std::move(next), str(event, "; extended validation"))) return;
    looks_left_ = kExtendedLooks;
    set_phase(Phase::kExtended);
    return;
  }
  RolloutRecord next = record_;
  next.phase = Phase::kAfterStage;
  if (!commit(std::move(next), event)) return;
  set_phase(Phase::kAfterStage);
  call_hooks(Webhook::When::kAfterStage);
  if (calls_.empty()) enter_next_stage();
}

void RolloutMachine::extend() {
  if (golden_runs_) {
    const std::optional<GoldenOutcome> outcome = golden_outcome();
    if (!outcome) return;
    gates_.set_golden(*outcome);  // the next look finds a failure
    looked_at_ = observed_;
    return;
  }
  if (record_.paused || observed_ - looked_at_ < kExtendedLookInterval) return;
  looked_at_ = observed_;
  if (--looks_left_ <= 0) stage_passed("passed extended validation");
}

void RolloutMachine::enter_next_stage() {
  if (is_last_stage() && !takes_up_) {
    RolloutRecord next = record_;
    next.phase = Phase::kCompleting;
    if (!commit(std::move(next), str("version ", record_.candidate, " becomes live"))) return;
    set_phase(Phase::kCompleting);
    complete();
    return;
  }
  // Another phase until the record says otherwise: the share is still that of the stage before.
  RolloutRecord next = record_;
  next.phase = Phase::kBeforeStage;
  next.stage = takes_up_ ? std::max(record_.stage, 0) : record_.stage + 1;
  if (!commit(std::move(next), {})) return;
  set_phase(Phase::kBeforeStage);
  if (!call_hooks(Webhook::When::kBeforeStage)) publish_stage();
}

void RolloutMachine::publish_stage() {
  const std::int32_t percent = stage_percent(record_.stage);
  RolloutRecord next = record_;
  next.phase = Phase::kSettling;
  next.candidate_percent = percent;
  if (!commit(std::move(next), str(percent, " % of requests go to version ", record_.candidate))) {
    return;
  }
  takes_up_ = false;
  set_phase(Phase::kSettling);
  stage_began_ = observed_;
  if (const Status published = host_.publish_split(split(percent)); !published.ok()) {
    begin_rollback(Phase::kRolledBack,
                   str("the share of ", percent, " % cannot be published: ", published.message()));
    return;
  }
  gates_.begin_stage(percent, read(), ticked_at_);
}

void RolloutMachine::complete() {
  if (!is_live_ &&
      host_.state(record_.name, record_.candidate).state != VersionHost::State::kReady) {
    begin_rollback(Phase::kRolledBack,
                   str("version ", record_.candidate, " is not ready any more"));
    return;
  }
  if (const Status live = host_.set_live(record_.name, record_.candidate); !live.ok()) {
    if (store_failure_ != live.message()) {
      store_failure_ = live.message();
      note(record_, str("waiting: ", live.message()));
      tell();
    }
    return;
  }
  is_live_ = true;
  finish(Phase::kCompleted);
}

void RolloutMachine::fail(std::string reason, RolloutPhase outcome) {
  if (record_.policy.on_failure == OnFailure::kRollback) {
    begin_rollback(outcome, std::move(reason));
    return;
  }
  RolloutRecord next = record_;
  next.paused = true;
  next.reason = reason;
  commit(std::move(next), str("paused: ", reason));
}

void RolloutMachine::begin_rollback(RolloutPhase outcome, std::string reason) {
  RolloutRecord next = record_;
  next.phase = Phase::kRollingBack;
  next.outcome = outcome;
  next.candidate_percent = 0;
  next.paused = false;
  next.reason = reason;
  note(next, str("rolling back: ", reason));
  // Requests come first: a full disk must not keep them on a bad version.
  published_back_ = record_.candidate_percent == 0 || host_.publish_split(split(0)).ok();
  const Status saved = environment_.store->save(next);
  store_failure_ = saved.message();
  record_ = std::move(next);
  calls_.clear();
  set_phase(Phase::kRollingBack);
  log::warning("rollout",
               str("'", record_.name, "' back to version ", record_.stable, ": ", reason));
  tell();
  roll_back();
}

void RolloutMachine::roll_back() {
  if (!published_back_) published_back_ = host_.publish_split(split(0)).ok();
  const Status live = host_.set_live(record_.name, record_.stable);
  if (!live.ok()) {
    // Nothing to go back to: the name keeps whatever the host says.
    if (live.code() != StatusCode::kNotFound) return;
    record_.reason += str("; and ", live.message());
    record_.outcome = Phase::kFailed;
  }
  finish(record_.outcome);
}

// The last step: what is not saved here is found done after a restart and finished again.
void RolloutMachine::finish(RolloutPhase phase) {
  RolloutRecord next = record_;
  next.phase = phase;
  next.candidate_percent = phase == Phase::kCompleted ? 100 : 0;
  next.paused = false;
  if (phase == Phase::kCompleted) next.reason.clear();
  std::string text = str(phase_name(phase), next.reason.empty() ? "" : ": ", next.reason);
  if (!commit(std::move(next), std::move(text))) return;
  call_hooks(Webhook::When::kEnd);
  calls_.clear();
  const std::string& loser = phase == Phase::kCompleted ? record_.stable : record_.candidate;
  const std::string& winner = phase == Phase::kCompleted ? record_.candidate : record_.stable;
  host_.release(record_.name, loser);
  host_.release(record_.name, winner);
}

Status RolloutMachine::pause(std::string reason) {
  if (is_done() || record_.phase == Phase::kRollingBack || record_.phase == Phase::kCompleting) {
    return refuse(record_, "paused");
  }
  if (record_.paused) return ok_status();
  RolloutRecord next = record_;
  next.paused = true;
  next.reason = reason.empty() ? "paused by hand" : std::move(reason);
  std::string text = str("paused: ", next.reason);
  return commit(std::move(next), std::move(text)) ? ok_status() : unavailable(store_failure_);
}

Status RolloutMachine::resume() {
  if (is_done() || record_.phase == Phase::kRollingBack) return refuse(record_, "resumed");
  if (!record_.paused) return ok_status();
  RolloutRecord next = record_;
  next.paused = false;
  next.reason.clear();
  if (!commit(std::move(next), "resumed")) return unavailable(store_failure_);
  if (record_.phase == Phase::kSettling || record_.phase == Phase::kExtended) {
    // What was known to the operator who goes on must not stop the rollout again.
    if (gates_.verdict() == Verdict::kFail) {
      gates_ = RolloutGates(record_.policy.gates, read(), ticked_at_);
    }
    gates_.begin_stage(record_.candidate_percent, read(), ticked_at_);
    record_.phase = Phase::kSettling;
    set_phase(Phase::kSettling);
  }
  return ok_status();
}

Status RolloutMachine::promote(bool fully) {
  if (!takes_requests() || takes_up_) return refuse(record_, "promoted");
  RolloutRecord next = record_;
  next.paused = false;
  next.reason.clear();
  // The next stage but one fewer, since entering a stage adds one.
  const auto last = static_cast<std::int32_t>(record_.policy.stages_percent.size()) - 1;
  if (fully && next.stage < last) next.stage = last - 1;
  const bool was_entering = record_.phase == Phase::kBeforeStage;
  if (fully && was_entering) next.stage = last;
  if (!commit(std::move(next),
              fully ? "promoted to the last stage" : "promoted to the next stage")) {
    return unavailable(store_failure_);
  }
  calls_.clear();
  if (gates_.verdict() == Verdict::kFail) {
    gates_ = RolloutGates(record_.policy.gates, read(), ticked_at_);
  }
  was_entering ? publish_stage() : enter_next_stage();
  return ok_status();
}

Status RolloutMachine::abort(std::string reason) {
  if (record_.phase == Phase::kRollingBack) return ok_status();
  if (is_done() || record_.phase == Phase::kCompleting) return refuse(record_, "aborted");
  begin_rollback(Phase::kAborted, reason.empty() ? "aborted by hand" : std::move(reason));
  return ok_status();
}

RolloutStatus RolloutMachine::status() const {
  RolloutStatus status;
  status.record = record_;
  if (takes_requests()) {
    status.stage_age = observed_ - stage_began_;
    status.gates = gates_.reports();
  }
  return status;
}

bool RolloutMachine::start_golden() {
  const std::vector<GoldenPrompt>& own = record_.policy.golden;
  const std::span<const GoldenPrompt> prompts =
      own.empty() ? std::span(&built_in_prompt(), 1) : std::span(own);
  const Status started = host_.start_golden(record_.name, record_.candidate, prompts);
  golden_runs_ = started.ok();
  if (!started.ok()) {
    fail(str("golden prompts cannot be run: ", started.message()), Phase::kRolledBack);
  }
  return golden_runs_;
}

std::optional<GoldenOutcome> RolloutMachine::golden_outcome() {
  std::optional<GoldenOutcome> outcome = host_.golden_outcome(record_.name, record_.candidate);
  if (!outcome && phase_age() >= record_.policy.golden_timeout) {
    outcome = GoldenOutcome{
        .passed = 0,
        .failed = 1,
        .first_failure = str("no answer within ", to_seconds(record_.policy.golden_timeout), " s")};
  }
  if (outcome) golden_runs_ = false;
  return outcome;
}

bool RolloutMachine::call_hooks(Webhook::When when) {
  calls_.clear();
  if (environment_.hooks == nullptr) return false;
  const std::int32_t percent =
      when == Webhook::When::kEnd ? record_.candidate_percent : stage_percent(record_.stage);
  for (const Webhook& hook : record_.policy.webhooks) {
    if (hook.when != when) continue;
    calls_.push_back({environment_.hooks->post(hook.url, hook_body(record_, when, percent)), hook});
  }
  return !calls_.empty();
}

bool RolloutMachine::await_hooks() {
  for (auto call = calls_.begin(); call != calls_.end();) {
    const std::optional<Status> outcome = environment_.hooks->outcome(call->id);
    if (!outcome) return false;
    if (!outcome->ok()) {
      const std::string text = str("webhook ", call->hook.url, ": ", outcome->message());
      if (call->hook.required) {
        calls_.clear();
        fail(text);
        return false;
      }
      note(record_, text);
    }
    call = calls_.erase(call);
  }
  return true;
}

bool RolloutMachine::commit(RolloutRecord next, std::string event) {
  if (!event.empty()) note(next, std::move(event));
  next.updated_unix_ms = environment_.unix_ms();
  if (const Status saved = environment_.store->save(next); !saved.ok()) {
    if (store_failure_.empty()) {
      log::error("rollout", str("'", record_.name, "' does not go on: ", saved.to_string()));
    }
    store_failure_ = saved.message();
    return false;
  }
  store_failure_.clear();
  record_ = std::move(next);
  tell();
  return true;
}

void RolloutMachine::note(RolloutRecord& record, std::string text) const {
  record.updated_unix_ms = environment_.unix_ms();
  record.history.push_back({.unix_ms = record.updated_unix_ms,
                            .phase = record.phase,
                            .candidate_percent = record.candidate_percent,
                            .text = std::move(text)});
}

// Tells what is new, then forgets what is too old: the count of told events moves with it.
void RolloutMachine::tell() {
  for (; told_ < record_.history.size(); ++told_) {
    const RolloutEvent& event = record_.history[told_];
    log::info("rollout", str("'", record_.name, "': ", event.text));
    if (environment_.observer != nullptr) environment_.observer->on_event(record_, event);
  }
  if (record_.history.size() > limits::kRolloutEventCountMax) {
    const std::size_t excess = record_.history.size() - limits::kRolloutEventCountMax;
    record_.history.erase(record_.history.begin(),
                          record_.history.begin() + static_cast<std::ptrdiff_t>(excess));
    told_ -= excess;
  }
}

void RolloutMachine::set_phase(RolloutPhase phase) {
  record_.phase = phase;
  phase_began_ = observed_;
}

Readings RolloutMachine::read() const {
  return {.stable = host_.outcomes(record_.name, record_.stable),
          .candidate = host_.outcomes(record_.name, record_.candidate)};
}

routing::Split RolloutMachine::split(std::int32_t percent) const {
  return {.name = record_.name,
          .stable = record_.stable,
          .candidate = record_.candidate,
          .candidate_share = percent * (routing::kWholeShare / 100),
          .salt = record_.salt};
}

std::int32_t RolloutMachine::stage_percent(std::int32_t stage) const {
  if (stage < 0) return 0;
  return record_.policy.stages_percent[static_cast<std::size_t>(stage)];
}

bool RolloutMachine::is_last_stage() const {
  return record_.stage + 1 == static_cast<std::int32_t>(record_.policy.stages_percent.size());
}

// The candidate may have requests: phases with a share, and those between two shares.
bool RolloutMachine::takes_requests() const {
  switch (record_.phase) {
    case Phase::kSettling:
    case Phase::kExtended:
    case Phase::kAfterStage:
      return true;
    case Phase::kBeforeStage:
      return record_.candidate_percent > 0;
    default:
      return false;
  }
}

}  // namespace inferneo::manager
