// Rollouts under a virtual clock: what must hold for each of thousands of seeds with crashes,
// failing loads, a failing store, pauses and aborts at any point; how often a good version is
// rolled back; how fast a bad one is.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "base/log.h"
#include "base/str.h"
#include "rollout_world.h"

namespace inferneo::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kName(RolloutWorld::kName);

class Quiet : public ::testing::Environment {
  void SetUp() override { log::configure(log::Level::kOff, log::Format::kText); }
};
const auto* const kQuiet = ::testing::AddGlobalTestEnvironment(new Quiet);

RolloutRequest to_version(std::string candidate, RolloutPolicy policy = {}) {
  return {.name = kName, .candidate = std::move(candidate), .policy = std::move(policy)};
}

// One rollout with the default policy or another, driven as the control thread does.
class Rollout {
 public:
  explicit Rollout(std::uint64_t seed) : world(seed) { reboot(); }

  void reboot() { controller = std::make_unique<RolloutController>(world.environment()); }
  void start(const RolloutPolicy& policy = {}) {
    world.is_over = false;
    const auto id = controller->start(to_version("2", policy));
    ASSERT_TRUE(id.has_value()) << id.status().to_string();
  }
  void step(Duration by = RolloutController::kTickInterval) {
    world.advance(by);
    controller->tick();
  }
  RolloutStatus status() { return *controller->status(kName); }
  RolloutPhase phase() { return status().record.phase; }
  bool is_done() { return !controller->is_under_way(kName); }
  // Until it is done, or `limit` has passed.
  void run(Duration limit = seconds(600)) {
    const TimePoint end = world.clock.now() + limit;
    while (!is_done() && world.clock.now() < end) step();
  }
  void run_until_percent(std::int32_t percent, Duration limit = seconds(600)) {
    const TimePoint end = world.clock.now() + limit;
    while (!is_done() && status().record.candidate_percent < percent && world.clock.now() < end) {
      step();
    }
    ASSERT_EQ(status().record.candidate_percent, percent) << status().record.reason;
  }
  std::string history() {
    std::string text;
    for (const RolloutEvent& event : status().record.history) text += event.text + "\n";
    for (const GateReport& gate : status().gates) {
      text += str(gate.gate, " ", verdict_name(gate.verdict), " ", gate.evidence, " ", gate.text);
      text += "\n";
    }
    return text;
  }

  RolloutWorld world;
  std::unique_ptr<RolloutController> controller;
};

TEST(RolloutSim, a_good_version_gets_everything_in_the_stages_of_the_policy) {
  Rollout rollout(1);
  rollout.world.traffic.requests_per_second = 100;
  rollout.start();
  std::vector<std::int32_t> seen;
  const TimePoint began = rollout.world.clock.now();
  while (!rollout.is_done()) {
    rollout.step();
    const std::int32_t percent = rollout.status().record.candidate_percent;
    if (seen.empty() || seen.back() != percent) seen.push_back(percent);
    if (rollout.is_done()) break;
    ASSERT_EQ(rollout.world.loaded["1"].state, VersionHost::State::kReady);
  }
  EXPECT_EQ(rollout.phase(), RolloutPhase::kCompleted) << rollout.history();
  EXPECT_EQ(seen, (std::vector<std::int32_t>{0, 5, 15, 30, 50, 75, 90, 100}));
  EXPECT_EQ(rollout.world.live, "2");
  EXPECT_EQ(rollout.world.table.find(kName), nullptr);
  EXPECT_FALSE(rollout.world.loaded["1"].held);
  EXPECT_EQ(rollout.world.loaded["1"].state, VersionHost::State::kAbsent);
  EXPECT_EQ(rollout.world.violation, "");
  // 3 x 2 s, 4 x 5 s, two extended validations; at 5 % of 100 requests a second 20 take 4 s.
  const double took = to_seconds(rollout.world.clock.now() - began);
  EXPECT_GT(took, 26);
  EXPECT_LT(took, 40);
}

TEST(RolloutSim, requests_follow_the_share_of_each_stage_and_conversations_stay) {
  Rollout rollout(2);
  rollout.world.traffic = {.requests_per_second = 2000, .subject_count = 20'000};
  rollout.start();
  std::int32_t last = 0;
  while (!rollout.is_done()) {
    rollout.world.routed.clear();
    rollout.step(milliseconds(1000));
    const std::int32_t percent = rollout.status().record.candidate_percent;
    if (percent != last || percent == 0 || rollout.is_done()) {
      last = percent;
      continue;
    }
    const auto candidate = static_cast<double>(rollout.world.routed["2"]);
    const double all = candidate + static_cast<double>(rollout.world.routed["1"]);
    const double share = percent / 100.0;
    // Subjects are a sample, requests of the same subject go together.
    const double sigma = std::sqrt(share * (1 - share) * (1 / all + 1 / 20'000.0));
    EXPECT_NEAR(candidate / all, share, std::max(0.02, 3 * sigma)) << percent;
  }
  EXPECT_EQ(rollout.phase(), RolloutPhase::kCompleted) << rollout.history();
  EXPECT_EQ(rollout.world.moved_back, 0U);
}

struct BadVersion {
  const char* name;
  Behaviour behaviour;
  const char* gate;
};

// From the first bad answer until all requests are back: at most 5 s of evidence, and going back
// takes one step. The version turns bad at the stage, after good behaviour until then.
TEST(RolloutSim, a_version_that_turns_bad_is_rolled_back_within_five_seconds_at_any_stage) {
  const BadVersion kinds[] = {
      {"errors", {.error_rate = 0.3}, "error_rate"},
      {"all errors", {.error_rate = 1}, "error_rate"},
      {"not finite", {.not_finite_rate = 0.2}, "non_finite"},
      {"slow first token", {.first_token_scale = 5}, "first_token"},
      {"slow tokens", {.inter_token_scale = 4}, "inter_token"},
  };
  double worst = 0;
  for (const BadVersion& kind : kinds) {
    for (const std::int32_t percent : {5, 30, 50, 90}) {
      for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Rollout rollout(seed);
        rollout.world.traffic.requests_per_second = 200;
        rollout.start();
        rollout.run_until_percent(percent);
        rollout.world.behaviours["2"] = kind.behaviour;
        const TimePoint began = rollout.world.clock.now();
        rollout.run(seconds(60));
        const double took = to_seconds(rollout.world.clock.now() - began);
        const std::string where = str(kind.name, " at ", percent, " %, seed ", seed);
        ASSERT_EQ(rollout.phase(), RolloutPhase::kRolledBack) << where << "\n" << rollout.history();
        EXPECT_TRUE(rollout.status().record.reason.starts_with(kind.gate))
            << where << ": " << rollout.status().record.reason;
        EXPECT_LE(took, 5.0) << where << "\n" << rollout.history();
        worst = std::max(worst, took);
        EXPECT_EQ(rollout.world.live, "1");
        EXPECT_EQ(rollout.world.table.find(kName), nullptr);
        rollout.world.routed.clear();
        rollout.step(seconds(1));
        EXPECT_EQ(rollout.world.routed["2"], 0U) << "requests after the rollback";
        EXPECT_EQ(rollout.world.violation, "") << where;
      }
    }
  }
  std::printf("slowest rollback: %.1f s after the version turned bad\n", worst);
}

TEST(RolloutSim, a_version_that_never_answers_is_found_without_a_single_answer) {
  for (const std::int32_t percent : {5, 50, 100}) {
    Rollout rollout(3);
    rollout.world.traffic.requests_per_second = 100;
    rollout.start();
    rollout.run_until_percent(percent);
    rollout.world.behaviours["2"].hangs = true;
    const TimePoint began = rollout.world.clock.now();
    rollout.run(seconds(60));
    ASSERT_EQ(rollout.phase(), RolloutPhase::kRolledBack) << percent;
    EXPECT_TRUE(rollout.status().record.reason.starts_with("progress")) << rollout.history();
    EXPECT_LE(to_seconds(rollout.world.clock.now() - began), 5.5);
  }
}

// Good versions in a difficult world: bursts of delays in one version at a time, slow spells of the
// machine, more delay for whoever has more requests, cold caches, errors that every version has.
// Each rollout has a world of its own.
TEST(RolloutSim, of_200_healthy_rollouts_at_most_two_are_rolled_back) {
  int rolled_back = 0;
  int completed = 0;
  std::string reasons;
  // More than 200 are for studying the rate itself.
  const char* wanted = std::getenv("INFERNEO_FALSE_ALARM_SEEDS");
  const std::uint64_t count = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 200;
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    Rollout rollout(seed * 7919);
    RolloutWorld& world = rollout.world;
    world.traffic.requests_per_second = std::exp(world.uniform(std::log(5), std::log(300)));
    world.traffic.subject_count = world.pick(50, 5000);
    world.traffic.error_rate = world.chance(0.5) ? 0 : world.uniform(0, 0.03);
    world.traffic.machine_slow_share = world.uniform(0, 0.2);
    world.traffic.machine_slow_factor = world.uniform(1, 8);
    world.traffic.burst_share = world.uniform(0, 0.1);
    world.traffic.burst_factor = world.uniform(1, 4);
    world.traffic.load_slope = world.uniform(0, 3);
    world.traffic.cold_factor = world.uniform(1, 8);
    world.advance(seconds(world.pick(0, 60)));
    rollout.start();
    rollout.run(seconds(900));
    if (rollout.phase() == RolloutPhase::kCompleted) ++completed;
    if (rollout.phase() == RolloutPhase::kRolledBack) {
      ++rolled_back;
      reasons += str("seed ", seed, ": ", rollout.status().record.reason, "\n");
    }
    ASSERT_EQ(world.violation, "") << "seed " << seed;
  }
  EXPECT_LE(rolled_back, static_cast<int>(count / 100)) << reasons;
  EXPECT_EQ(rolled_back + completed, static_cast<int>(count));
  std::printf("%d of %d healthy rollouts rolled back\n%s",
              rolled_back,
              static_cast<int>(count),
              reasons.c_str());
}

// One random life of a rollout: everything that can go wrong goes wrong with some probability.
struct Life {
  std::uint64_t trace = 0;
  RolloutPhase phase = RolloutPhase::kLoading;
  int crashes = 0;
  std::string violation;
  std::string log;
};

RolloutPolicy random_policy(RolloutWorld& world) {
  RolloutPolicy policy;
  policy.settle_below_half = milliseconds(world.pick(0, 600));
  policy.settle_from_half = milliseconds(world.pick(0, 900));
  policy.evidence_timeout = milliseconds(world.pick(0, 1500));
  policy.load_timeout = milliseconds(world.pick(800, 20'000));
  policy.golden_timeout = milliseconds(world.pick(600, 5000));
  policy.gates.sample_count_min = world.pick(0, 10);
  if (world.chance(0.3)) policy.stages_percent = {world.pick(1, 50), world.pick(51, 99), 100};
  if (world.chance(0.3)) policy.stages_percent = {100};
  if (policy.stages_percent.size() != 7 || world.chance(0.5)) policy.extended_percent.clear();
  policy.on_inconclusive = static_cast<OnInconclusive>(world.pick(0, 2));
  policy.on_failure = world.chance(0.2) ? OnFailure::kPause : OnFailure::kRollback;
  policy.after_crash = world.chance(0.3) ? AfterCrash::kRollback : AfterCrash::kResume;
  if (world.chance(0.3)) {
    policy.webhooks.push_back({.url = "http://127.0.0.1/a",
                               .when = static_cast<Webhook::When>(world.pick(0, 2)),
                               .required = world.chance(0.5)});
  }
  return policy;
}

void draw_faults(RolloutWorld& world) {
  world.traffic.requests_per_second = world.chance(0.3) ? 0 : world.uniform(1, 40);
  world.traffic.subject_count = 200;
  Behaviour& candidate = world.behaviours["2"];
  candidate.load_time = milliseconds(world.pick(0, 2000));
  candidate.loads = !world.chance(0.1);
  candidate.golden_passes = !world.chance(0.1);
  candidate.golden_answers = !world.chance(0.05);
  if (world.chance(0.1)) candidate.error_rate = 1;
  if (world.chance(0.05)) candidate.not_finite_rate = 0.3;
  if (world.chance(0.05)) candidate.hangs = true;
  if (world.chance(0.5)) world.end_rate = world.uniform(0, 0.15);
  if (world.chance(0.3)) world.save_failure_rate = world.uniform(0, 0.6);
  if (world.chance(0.3)) world.set_live_failure_rate = world.uniform(0, 0.8);
  if (world.chance(0.3)) world.hook_failure_rate = 0.3;
}

// What must hold between two steps.
void check(Rollout& rollout, Life& life) {
  const auto fail = [&](std::string what) {
    if (life.violation.empty()) life.violation = std::move(what);
  };
  if (!rollout.world.violation.empty()) fail(rollout.world.violation);
  const Result<RolloutStatus> status = rollout.controller->status(kName);
  if (!status.has_value()) return;
  const RolloutRecord& record = status->record;
  const routing::Split* split = rollout.world.table.find(kName);
  if (is_terminal(record.phase)) {
    if (split != nullptr) fail("a split after the end");
    if (rollout.world.loaded["1"].held || rollout.world.loaded["2"].held) {
      fail("a version is held after the end");
    }
    const bool is_live = rollout.world.live == record.candidate;
    if (is_live != (record.phase == RolloutPhase::kCompleted)) {
      fail(str("ended ", phase_name(record.phase), " with version ", rollout.world.live, " live"));
    }
    return;
  }
  if (!rollout.world.loaded["1"].held) fail("the stable version is not held");
  if (split == nullptr) return;
  std::set<std::int32_t> allowed{0};
  for (const std::int32_t percent : record.policy.stages_percent) allowed.insert(percent * 100);
  if (!allowed.contains(split->candidate_share)) fail("a share that is no stage");
  if (split->candidate_share != record.candidate_percent * 100) {
    fail(str("published ", split->candidate_share, " but shown ", record.candidate_percent, " %"));
  }
  if (split->candidate_share > 0 && rollout.world.loaded["2"].state != VersionHost::State::kReady) {
    fail("requests go to a version that is not ready");
  }
  if (split->stable != "1" || split->candidate != "2") fail("a split of other versions");
}

void command(Rollout& rollout) {
  RolloutWorld& world = rollout.world;
  switch (world.pick(0, 9)) {
    case 0:
    case 1:
      (void)rollout.controller->pause(kName, "lunch");
      break;
    case 2:
    case 3:
    case 4:
      (void)rollout.controller->resume(kName);
      break;
    case 5:
      (void)rollout.controller->promote(kName, world.chance(0.3));
      break;
    case 6:
      (void)rollout.controller->abort(kName, "changed my mind");
      break;
    case 7: {
      const auto again = rollout.controller->start(to_version("2"));
      if (!again.has_value()) break;
      world.is_over = false;
      world.shares.clear();
      break;
    }
    case 8:
      (void)rollout.controller->preview(to_version("2"));
      break;
    default:
      // The candidate dies: its device is lost, or an operator forces it out.
      if (world.live == "1" && world.chance(0.2)) {
        world.loaded["2"].state = VersionHost::State::kFailed;
        world.loaded["2"].died = true;
      }
      break;
  }
}

// Runs `act`; when the process ends in it, the next process starts from what was recorded.
template <typename Act>
void surviving(Rollout& rollout, Life& life, const Act& act) {
  try {
    act();
    return;
  } catch (const ProcessEnds&) {
    ++life.crashes;
  }
  for (;;) {
    rollout.world.restart();
    rollout.reboot();
    try {
      const Status restored = rollout.controller->restore();
      if (!restored.ok() && life.violation.empty()) life.violation = restored.to_string();
      return;
    } catch (const ProcessEnds&) {
      ++life.crashes;
    }
  }
}

Life live_through(std::uint64_t seed) {
  Life life;
  Rollout rollout(seed);
  RolloutWorld& world = rollout.world;
  const RolloutPolicy policy = random_policy(world);
  draw_faults(world);
  bool began = false;
  surviving(rollout, life, [&] {
    began = rollout.controller->start(to_version("2", policy)).has_value();
  });
  const double command_rate = world.chance(0.5) ? 0.05 : 0;
  for (int step = 0; step < 60 && life.violation.empty(); ++step) {
    surviving(rollout, life, [&] {
      if (world.chance(command_rate)) command(rollout);
      rollout.step(milliseconds(world.pick(20, 500)));
    });
    check(rollout, life);
  }
  // The faults stop and the operator stops pausing: it must come to an end.
  world.end_rate = world.save_failure_rate = world.set_live_failure_rate = 0;
  for (int step = 0; step < 2000 && !rollout.is_done() && life.violation.empty(); ++step) {
    // Resuming a stage without requests would only pause it again.
    const Result<RolloutStatus> now = rollout.controller->status(kName);
    const bool is_paused = now.has_value() && now->record.paused;
    if (is_paused && !rollout.controller->promote(kName).ok()) {
      (void)rollout.controller->resume(kName);
    }
    rollout.step(milliseconds(250));
    check(rollout, life);
  }
  const Result<RolloutStatus> status = rollout.controller->status(kName);
  if (status.has_value()) {
    life.phase = status->record.phase;
    life.log = rollout.history();
    if (!is_terminal(life.phase) && life.violation.empty()) {
      life.violation = str("no end: still ", phase_name(life.phase));
    }
  } else if (began && life.crashes == 0) {
    life.violation = "a rollout is gone";
  }
  life.trace = world.trace;
  return life;
}

std::uint64_t seed_count() {
  const char* wanted = std::getenv("INFERNEO_SIM_SEEDS");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 10'000;
}

TEST(RolloutSim, every_life_of_a_rollout_keeps_its_invariants_and_ends) {
  const char* only = std::getenv("INFERNEO_SIM_SEED");
  std::map<std::string, int> ends;
  int crashes = 0;
  const std::uint64_t count = only != nullptr ? 1 : seed_count();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t seed = only != nullptr ? std::strtoull(only, nullptr, 10) : i + 1;
    const Life life = live_through(seed);
    ASSERT_EQ(life.violation, "") << "replay with INFERNEO_SIM_SEED=" << seed << "\n" << life.log;
    crashes += life.crashes;
    ++ends[std::string(phase_name(life.phase))];
    if (i < 50 || only != nullptr) {
      ASSERT_EQ(live_through(seed).trace, life.trace) << "seed " << seed << " is not repeatable";
    }
  }
  if (only != nullptr) return;
  // The lives are as different as they are meant to be.
  for (const char* phase : {"completed", "rolled_back", "aborted", "failed"}) {
    EXPECT_GT(ends[phase], static_cast<int>(count / 100)) << phase;
    std::printf("%s: %d\n", phase, ends[phase]);
  }
  EXPECT_GT(crashes, static_cast<int>(count / 2));
  std::printf("ends of the process: %d\n", crashes);
}

}  // namespace
}  // namespace inferneo::manager
