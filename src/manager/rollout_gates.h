// The health of a candidate beside the stable version: reads both counters, keeps the evidence, and
// says per gate pass, fail or inconclusive. Decides nothing about the rollout.
//
// The statistical gates compare what both versions did in the same short spans of time (strata), so
// that a slow moment of the machine counts for neither. A latency fails when significantly more of
// the candidate's values lie above `latency_ratio_max` times a threshold (for first tokens also
// `first_token_slack_ms` above it) than of the stable
// version's above the threshold itself, which is its own 95th percentile so far: were the
// candidate's distribution at most that many times slower, the first share could not be larger.
// Two things make a good candidate look slow, and the gates know them. It may have the larger
// load: from 50 % on it must also be slower than the stable version was when that had the load. And
// its prefix cache is cold: its time to the first token must also be longer per computed token.
// Once it has everything, nothing runs beside it: a slow machine would look like a slow version, so
// latencies are then shown and fail no more.
// (Several conditions that must all hold keep the level of each: Berger, "Multiparameter hypothesis
// testing and acceptance sampling", Technometrics 24, 1982.)
// Thread: one (the controller's lock). Ownership: value type.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "manager/rollout.h"
#include "observe/outcomes.h"
#include "routing/statistics/evidence.h"
#include "routing/statistics/repeated_test.h"

namespace inferneo::manager {

struct Readings {
  observe::Outcomes stable;
  observe::Outcomes candidate;
};

class RolloutGates {
 public:
  // `at_start`: the versions' counters when the rollout begins; what the stable version counted
  // before is what it is compared with later.
  RolloutGates(const GatePolicy& policy, const Readings& at_start, TimePoint now);

  // Samples are counted from here, and evidence of its own begins.
  void begin_stage(std::int32_t percent, const Readings& readings, TimePoint now);
  void observe(const Readings& readings, TimePoint now);
  void set_golden(const GoldenOutcome& outcome) { golden_ = outcome; }

  // Of all gates: fail when one fails, pass when all have enough samples.
  [[nodiscard]] Verdict verdict() const;
  // Why it fails, by the gate that says most about the cause; empty unless it does.
  [[nodiscard]] std::string failure() const;
  [[nodiscard]] std::vector<GateReport> reports() const { return judge(true); }
  // Neither version has begun or ended a request in this stage, and none is waiting.
  [[nodiscard]] bool is_idle() const;

 private:
  using OddsTest = routing::RepeatedTest<routing::OddsEvidence>;
  using RateTest = routing::RepeatedTest<routing::RateEvidence>;
  using Member = observe::LatencyCounts observe::Outcomes::*;

  // One histogram of both versions.
  struct Comparison {
    Member member;
    double slack;                      // seconds above a threshold that are not late
    OddsTest beside;                   // against the stable version now
    RateTest before;                   // against what that was with the larger load
    observe::LatencyCounts known;      // recent values of the stable version
    std::optional<std::size_t> bound;  // bucket from which a value is slower than before
  };
  // All comparisons of a gate must show it.
  struct LatencyGate {
    std::string name;
    std::vector<Comparison> comparisons;
  };
  struct Progress {
    TimePoint at{};
    std::uint64_t candidate_begun = 0;
    std::uint64_t candidate_answered = 0;
    std::uint64_t stable_answered = 0;
  };

  Comparison make_comparison(Member member,
                             const observe::Outcomes& stable,
                             double slack = 0) const;
  void begin_block(TimePoint now);
  void close_stratum(TimePoint now);
  void add_errors(const Readings& stratum);
  void add_latencies(Comparison& comparison, const Readings& stratum);
  void fix_reference();
  void watch_progress(const Readings& readings, TimePoint now);
  [[nodiscard]] double strength(const LatencyGate& gate) const;
  [[nodiscard]] double error_strength() const;
  // Texts take longer than the rest, and a tick needs them only when a gate fails.
  [[nodiscard]] std::vector<GateReport> judge(bool with_text) const;
  [[nodiscard]] GateReport report_errors(bool with_text) const;
  [[nodiscard]] GateReport report_latency(const LatencyGate& gate, bool with_text) const;
  [[nodiscard]] GateReport report_non_finite(bool with_text) const;
  [[nodiscard]] GateReport report_progress(bool with_text) const;
  [[nodiscard]] GateReport report_golden(bool with_text) const;
  [[nodiscard]] bool is_needed(const GateReport& report) const;

  GatePolicy policy_;
  std::int32_t percent_ = 0;
  Readings last_;     // readings up to which everything is in a window
  Readings stratum_;  // since the last stratum was closed
  Readings stage_;    // since the stage began
  Readings all_;      // since the rollout began
  TimePoint stratum_began_{};
  TimePoint block_began_{};
  std::uint64_t block_samples_ = 0;  // requests of the candidate
  observe::Outcomes before_;         // of the stable version when the rollout began

  OddsTest errors_beside_;
  std::optional<RateTest> errors_alone_;  // once the stable version gets nothing any more
  std::vector<LatencyGate> latencies_;
  std::deque<Progress> progress_;
  std::string stall_;  // why the candidate counts as stalled; empty when it does not
  GoldenOutcome golden_;
};

}  // namespace inferneo::manager
