#include "manager/rollout_gates.h"

#include <algorithm>
#include <cmath>

#include "base/str.h"
#include "routing/statistics/binomial.h"

namespace inferneo::manager {
namespace {

using observe::LatencyCounts;
using observe::Outcomes;
using std::chrono::milliseconds;

constexpr double kQuantile = 0.95;
constexpr int kStatisticalGateCount = 3;  // they share the false alarms that are allowed

// A stratum ends when both versions have some values, so that it can tell them apart, and after the
// longer time in any case. Why these: several fit into the 5 s in which a bad version is to be
// found.
constexpr milliseconds kStratumMin{500};
constexpr milliseconds kStratumMax{2000};
constexpr std::uint64_t kStratumSamples = 5;

// Within a long stage evidence of its own begins again after this, if there was any.
constexpr std::chrono::seconds kBlockMax{20};

// Delays come in bursts (one long prompt delays those behind it), so one stratum may make a latency
// at most this much likelier; errors of a sound version come alone.
constexpr double kLatencyStratumMax = 20;
constexpr double kErrorStratumMax = 1e4;

// Values of the stable version that a threshold is taken from: at least the first, and recent ones
// count more, by halving all when there are too many.
constexpr std::uint64_t kKnownMin = 20;
constexpr std::uint64_t kKnownMax = 1000;
constexpr std::uint64_t kKnownSeedMax = 200;
// Risk that the bound taken from the past is below the true quantile; it belongs to the false
// alarms but is far below them.
constexpr double kReferenceRisk = 1e-3;

// A candidate is stalled when it has answered nothing for so long although several requests wait.
constexpr milliseconds kStallMin{4000};
constexpr double kStallRatio = 3;  // of the stable version's 95th percentile
constexpr std::uint64_t kStallRequests = 3;
// Looks further apart than this: this process itself stood still, so waiting proves nothing.
constexpr milliseconds kLookGapMax{1000};

// What does not divide goes on to the next bucket, so that a thin tail stays.
void halve_down_to(LatencyCounts& counts, std::uint64_t total_max) {
  while (counts.total() > total_max) {
    std::uint64_t rest = 0;
    for (std::uint64_t& bucket : counts.buckets) {
      const std::uint64_t values = bucket + rest;
      bucket = values / 2;
      rest = values % 2;
    }
  }
}

// The first bucket above which lie at most `count` values.
std::size_t bucket_with_above(const LatencyCounts& counts, std::uint64_t count) {
  std::uint64_t above = 0;
  for (std::size_t bucket = observe::kLatencyBucketCount; bucket-- > 0;) {
    above += counts.buckets[bucket];
    if (above > count) return std::min(bucket + 1, observe::kLatencyBucketCount - 1);
  }
  return 0;
}

// The first bucket all of whose values are at least `ratio` times those at the start of `bucket`,
// and at least `slack` seconds above them.
std::size_t late_bucket(std::size_t bucket, double ratio, double slack) {
  const double threshold = observe::latency_bucket_lower_bound(bucket);
  const double wanted = std::max(threshold * ratio, threshold + slack);
  std::size_t scaled = observe::latency_bucket(wanted);
  while (scaled + 1 < observe::kLatencyBucketCount &&
         observe::latency_bucket_lower_bound(scaled) < wanted) {
    ++scaled;
  }
  return scaled;
}

// A stratum counts as one value against the past, so that a burst of delays is one observation. It
// is slow when a quarter of it is, and when that is no likelier than one slow value under the
// hypothesis.
bool is_slow_stratum(std::uint64_t slow, std::uint64_t values) {
  constexpr double kSlowShare = 1 - kQuantile;
  return slow > 0 && 4 * slow >= values &&
         1 - routing::binomial_at_most(slow - 1, values, kSlowShare) <= kSlowShare;
}

// A version that was loaded anew counts from zero.
Outcomes since(const Outcomes& now, const Outcomes& last) {
  return now.begun < last.begun || now.judged() < last.judged() ? now : now - last;
}

double rate(std::uint64_t hits, std::uint64_t values) {
  return values == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(values);
}

// Three digits are enough for people.
std::string digits(double value) {
  if (value == 0) return "0";
  const double scale = std::pow(10, 2 - std::floor(std::log10(std::abs(value))));
  return str(std::round(value * scale) / scale);
}
std::string percent_text(double share) { return str(digits(share * 100), " %"); }
std::string ms_text(double seconds) { return str(digits(seconds * 1000), " ms"); }

GateReport report_of(std::string name, std::uint64_t candidate, std::uint64_t stable) {
  GateReport report;
  report.gate = std::move(name);
  report.candidate_samples = static_cast<std::int64_t>(candidate);
  report.stable_samples = static_cast<std::int64_t>(stable);
  return report;
}

}  // namespace

RolloutGates::RolloutGates(const GatePolicy& policy, const Readings& at_start, TimePoint now)
    : policy_(policy),
      last_(at_start),
      stratum_began_(now),
      block_began_(now),
      before_(at_start.stable),
      errors_beside_(routing::OddsEvidence(kErrorStratumMax),
                     policy.false_alarm_rate / (2 * kStatisticalGateCount)) {
  latencies_.push_back(
      {"first_token",
       {make_comparison(&Outcomes::first_token, before_, policy_.first_token_slack_ms / 1000),
        make_comparison(&Outcomes::prompt_token, before_)}});
  latencies_.push_back({"inter_token", {make_comparison(&Outcomes::inter_token, before_)}});
}

RolloutGates::Comparison RolloutGates::make_comparison(Member member,
                                                       const Outcomes& stable,
                                                       double slack) const {
  const double risk = policy_.false_alarm_rate / kStatisticalGateCount;
  Comparison comparison{.member = member,
                        .slack = slack,
                        .beside = OddsTest(routing::OddsEvidence(kLatencyStratumMax), risk),
                        .before = RateTest(routing::RateEvidence(1 - kQuantile), risk),
                        .known = stable.*member,
                        .bound = {}};
  halve_down_to(comparison.known, kKnownSeedMax);
  return comparison;
}

void RolloutGates::begin_stage(std::int32_t percent, const Readings& readings, TimePoint now) {
  observe(readings, now);
  close_stratum(now);
  percent_ = percent;
  stage_ = {};
  begin_block(now);
  if (percent > 50) fix_reference();
  if (percent == 100 && !errors_alone_) {
    const Outcomes stable = before_ + all_.stable;
    const double bound =
        stable.judged() == 0
            ? 0
            : routing::rate_upper_bound(stable.errors(), stable.judged(), kReferenceRisk);
    // Few requests give a bound near one, which would forgive everything.
    const double rate_max = std::max(policy_.error_rate_max, std::min(bound, 0.05));
    errors_alone_.emplace(routing::RateEvidence(rate_max),
                          policy_.false_alarm_rate / (2 * kStatisticalGateCount));
  }
}

void RolloutGates::begin_block(TimePoint now) {
  errors_beside_.begin_block();
  if (errors_alone_) errors_alone_->begin_block();
  for (LatencyGate& gate : latencies_) {
    for (Comparison& comparison : gate.comparisons) {
      comparison.beside.begin_block();
      comparison.before.begin_block();
    }
  }
  block_began_ = now;
  block_samples_ = 0;
}

// What "as slow as the stable version was" means is fixed before the candidate has the larger load.
void RolloutGates::fix_reference() {
  for (LatencyGate& gate : latencies_) {
    for (Comparison& comparison : gate.comparisons) {
      if (comparison.bound) continue;
      LatencyCounts past = before_.*comparison.member;
      past += all_.stable.*comparison.member;
      const auto left_out = routing::values_above_quantile(past.total(), kQuantile, kReferenceRisk);
      if (!left_out) continue;
      comparison.bound = late_bucket(
          bucket_with_above(past, *left_out), policy_.latency_ratio_max, comparison.slack);
    }
  }
}

void RolloutGates::observe(const Readings& readings, TimePoint now) {
  watch_progress(readings, now);
  const Readings news{.stable = since(readings.stable, last_.stable),
                      .candidate = since(readings.candidate, last_.candidate)};
  last_ = readings;
  for (Readings* window : {&stratum_, &stage_, &all_}) {
    window->stable += news.stable;
    window->candidate += news.candidate;
  }
  const Duration age = now - stratum_began_;
  const bool has_enough = stratum_.candidate.judged() >= kStratumSamples &&
                          (percent_ == 100 || stratum_.stable.judged() >= kStratumSamples);
  if (age >= kStratumMax || (age >= kStratumMin && has_enough)) close_stratum(now);
}

void RolloutGates::close_stratum(TimePoint now) {
  add_errors(stratum_);
  for (LatencyGate& gate : latencies_) {
    for (Comparison& comparison : gate.comparisons) add_latencies(comparison, stratum_);
  }
  block_samples_ += stratum_.candidate.judged();
  stratum_ = {};
  stratum_began_ = now;
  if (now - block_began_ >= kBlockMax && block_samples_ > 0) begin_block(now);
}

void RolloutGates::add_errors(const Readings& stratum) {
  errors_beside_.add(routing::Stratum{.candidate_hits = stratum.candidate.errors(),
                                      .candidate_values = stratum.candidate.judged(),
                                      .stable_hits = stratum.stable.errors(),
                                      .stable_values = stratum.stable.judged()});
  if (errors_alone_ && percent_ == 100) {
    errors_alone_->add(stratum.candidate.errors(), stratum.candidate.judged());
  }
}

void RolloutGates::add_latencies(Comparison& comparison, const Readings& stratum) {
  const LatencyCounts& candidate = stratum.candidate.*comparison.member;
  const LatencyCounts& stable = stratum.stable.*comparison.member;
  const std::uint64_t known = comparison.known.total();
  if (known >= kKnownMin) {
    const auto above = static_cast<std::uint64_t>(static_cast<double>(known) * (1 - kQuantile));
    const std::size_t threshold = bucket_with_above(comparison.known, above);
    const std::size_t late = late_bucket(threshold, policy_.latency_ratio_max, comparison.slack);
    comparison.beside.add(routing::Stratum{.candidate_hits = candidate.at_or_above(late),
                                           .candidate_values = candidate.total(),
                                           .stable_hits = stable.at_or_above(threshold),
                                           .stable_values = stable.total()});
  }
  if (percent_ > 50 && comparison.bound && candidate.total() > 0) {
    const bool is_slow =
        is_slow_stratum(candidate.at_or_above(*comparison.bound), candidate.total());
    comparison.before.add(std::uint64_t{is_slow ? 1U : 0U}, std::uint64_t{1});
  }
  comparison.known += stable;
  halve_down_to(comparison.known, kKnownMax);
}

// Requests that began at least the stall time ago and still wait are at least those that had begun
// then less all that have been answered by now.
void RolloutGates::watch_progress(const Readings& readings, TimePoint now) {
  const auto answered = [](const Outcomes& outcomes) {
    return outcomes.first_token.total() + outcomes.ended_unanswered;
  };
  const bool starts_anew =
      !progress_.empty() && (now - progress_.back().at > kLookGapMax ||
                             readings.candidate.begun < progress_.back().candidate_begun);
  if (starts_anew) progress_.clear();
  progress_.push_back({.at = now,
                       .candidate_begun = readings.candidate.begun,
                       .candidate_answered = answered(readings.candidate),
                       .stable_answered = answered(readings.stable)});
  const double stable_p95 = latencies_[0].comparisons[0].known.quantile(kQuantile);
  const Duration limit =
      std::max<Duration>(kStallMin,
                         std::chrono::duration_cast<Duration>(
                             std::chrono::duration<double>(kStallRatio * stable_p95)));
  // Keeps one entry older than the limit.
  while (progress_.size() > 1 && now - progress_[1].at >= limit) progress_.pop_front();
  const Progress& then = progress_.front();
  const Progress& latest = progress_.back();
  stall_.clear();
  if (now - then.at < limit || latest.candidate_answered != then.candidate_answered) return;
  if (then.candidate_begun < then.candidate_answered + kStallRequests) return;
  if (percent_ != 100 && latest.stable_answered == then.stable_answered) return;
  stall_ = str(then.candidate_begun - then.candidate_answered,
               " requests have waited for their first token for ",
               digits(to_seconds(limit)),
               " s or more and none was answered");
}

double RolloutGates::strength(const LatencyGate& gate) const {
  if (percent_ == 100) return 0;
  double least = INFINITY;
  for (const Comparison& comparison : gate.comparisons) {
    least = std::min(least, comparison.beside.strength());
    if (percent_ > 50 && comparison.bound) least = std::min(least, comparison.before.strength());
  }
  return least;
}

double RolloutGates::error_strength() const {
  const double beside = errors_beside_.strength();
  return errors_alone_ ? std::max(beside, errors_alone_->strength()) : beside;
}

GateReport RolloutGates::report_errors(bool with_text) const {
  GateReport report = report_of("error_rate", stage_.candidate.judged(), stage_.stable.judged());
  report.candidate = rate(stage_.candidate.errors(), stage_.candidate.judged());
  report.stable = rate(stage_.stable.errors(), stage_.stable.judged());
  report.evidence = error_strength();
  report.evidence_needed = 1;
  const double overall = rate(all_.candidate.errors(), all_.candidate.judged());
  const bool is_above = std::max(report.candidate, overall) > policy_.error_rate_max;
  const bool has_samples = report.candidate_samples >= policy_.sample_count_min &&
                           (percent_ == 100 || report.stable_samples >= policy_.sample_count_min);
  if (report.evidence >= 1 && is_above) {
    report.verdict = Verdict::kFail;
  } else if (has_samples) {
    report.verdict = Verdict::kPass;
  }
  if (!with_text) return report;
  report.text = str("errors: ",
                    percent_text(report.candidate),
                    " of ",
                    report.candidate_samples,
                    " requests, stable version ",
                    percent_text(report.stable),
                    " of ",
                    report.stable_samples);
  if (report.candidate <= policy_.error_rate_max && overall > policy_.error_rate_max) {
    report.text += str("; ", percent_text(overall), " since the rollout began");
  }
  return report;
}

GateReport RolloutGates::report_latency(const LatencyGate& gate, bool with_text) const {
  const Comparison& shown = gate.comparisons.front();
  const LatencyCounts& candidate = stage_.candidate.*shown.member;
  const LatencyCounts& stable = stage_.stable.*shown.member;
  GateReport report = report_of(gate.name, candidate.total(), stable.total());
  report.candidate = candidate.quantile(kQuantile);
  report.stable = percent_ == 100 || stable.total() == 0 ? shown.known.quantile(kQuantile)
                                                         : stable.quantile(kQuantile);
  report.evidence = strength(gate);
  report.evidence_needed = 1;
  const bool is_comparable = percent_ != 100 && report.stable_samples >= policy_.sample_count_min;
  if (report.evidence >= 1) {
    report.verdict = Verdict::kFail;
  } else if (is_comparable && report.candidate_samples >= policy_.sample_count_min) {
    report.verdict = Verdict::kPass;
  }
  if (!with_text) return report;
  report.text = str(gate.name == "first_token" ? "time to first token" : "time between tokens",
                    ", 95th percentile: ",
                    ms_text(report.candidate),
                    " of ",
                    report.candidate_samples,
                    " values, stable version ",
                    ms_text(report.stable),
                    " of ",
                    report.stable_samples,
                    "; up to ",
                    digits(policy_.latency_ratio_max),
                    " times as much",
                    shown.slack > 0 ? str(", or ", ms_text(shown.slack), " more,") : "",
                    " is allowed");
  return report;
}

GateReport RolloutGates::report_non_finite(bool with_text) const {
  const std::uint64_t count = all_.candidate.non_finite;
  GateReport report = report_of("non_finite", all_.candidate.judged(), all_.stable.judged());
  report.candidate = static_cast<double>(count);
  report.stable = static_cast<double>(all_.stable.non_finite);
  const bool fails = count > static_cast<std::uint64_t>(policy_.non_finite_count_max);
  report.verdict = fails ? Verdict::kFail : Verdict::kPass;
  if (!with_text) return report;
  report.text = str(count, " requests with logits that are not finite");
  return report;
}

GateReport RolloutGates::report_progress(bool with_text) const {
  const Outcomes& candidate = last_.candidate;
  GateReport report = report_of("progress", candidate.begun, last_.stable.begun);
  report.candidate = static_cast<double>(candidate.unanswered());
  report.stable = static_cast<double>(last_.stable.unanswered());
  report.verdict = stall_.empty() ? Verdict::kPass : Verdict::kFail;
  if (!with_text) return report;
  report.text =
      stall_.empty() ? str(candidate.unanswered(), " requests wait for their first token") : stall_;
  return report;
}

GateReport RolloutGates::report_golden(bool with_text) const {
  GateReport report =
      report_of("golden_prompts", static_cast<std::uint64_t>(golden_.passed + golden_.failed), 0);
  report.candidate = golden_.failed;
  report.verdict = golden_.failed > 0 ? Verdict::kFail : Verdict::kPass;
  if (!with_text) return report;
  report.text = golden_.failed > 0 ? str(golden_.failed,
                                         " of ",
                                         golden_.passed + golden_.failed,
                                         " golden prompts failed: ",
                                         golden_.first_failure)
                                   : str(golden_.passed, " golden prompts passed");
  return report;
}

// Causes before their symptoms: failure() names the first that fails.
std::vector<GateReport> RolloutGates::judge(bool with_text) const {
  std::vector<GateReport> all;
  all.reserve(latencies_.size() + 4);
  all.push_back(report_non_finite(with_text));
  all.push_back(report_golden(with_text));
  all.push_back(report_progress(with_text));
  all.push_back(report_errors(with_text));
  for (const LatencyGate& gate : latencies_) all.push_back(report_latency(gate, with_text));
  return all;
}

bool RolloutGates::is_idle() const {
  const auto nothing = [](const Outcomes& window, const Outcomes& reading) {
    return window.begun == 0 && window.judged() == 0 && window.cancelled == 0 &&
           reading.unanswered() == 0;
  };
  return nothing(stage_.stable, last_.stable) && nothing(stage_.candidate, last_.candidate);
}

// Answers of one token have no time between tokens, and once the candidate has all requests there
// is nothing to compare it with: neither keeps a rollout waiting.
bool RolloutGates::is_needed(const GateReport& report) const {
  if (report.gate == "error_rate" || report.verdict != Verdict::kInconclusive) return true;
  if (report.candidate_samples == 0 && report.stable_samples == 0) return false;
  return percent_ != 100;
}

Verdict RolloutGates::verdict() const {
  Verdict worst = Verdict::kPass;
  for (const GateReport& report : judge(false)) {
    if (report.verdict == Verdict::kFail) return Verdict::kFail;
    if (report.verdict == Verdict::kInconclusive && is_needed(report)) {
      worst = Verdict::kInconclusive;
    }
  }
  return worst;
}

std::string RolloutGates::failure() const {
  for (const GateReport& report : reports()) {
    if (report.verdict == Verdict::kFail) return str(report.gate, ": ", report.text);
  }
  return {};
}

}  // namespace inferneo::manager
