// A test that runs for as long as a rollout does, with one bound on its false alarms. Half of the
// allowed probability watches from the beginning, so that slow evidence adds up; the other half
// is spent on blocks, each with evidence of its own, so that a candidate that was good for an hour
// and then breaks is found as quickly as one that was bad from the start. Block j gets
// 1 / (j (j+1)) of that half, which sums to it however many blocks there will be.
// Source: the spending of error probability, Lan, DeMets, "Discrete sequential boundaries for
// clinical trials", Biometrika 70 (1983), on e-processes (evidence.h), each valid at any time.
// Thread: one.
#pragma once

#include <utility>

namespace inferneo::routing {

// Evidence: OddsEvidence or RateEvidence.
template <typename Evidence>
class RepeatedTest {
 public:
  // `risk`: the probability of a false alarm over all time.
  RepeatedTest(Evidence evidence, double risk)
      : whole_(evidence), block_(std::move(evidence)), whole_needed_(2 / risk) {}

  template <typename... Data>
  void add(const Data&... data) {
    whole_.add(data...);
    block_.add(data...);
  }
  void begin_block() {
    block_.restart();
    ++block_number_;
  }

  // Evidence over what is needed: from 1 on the test says that the candidate is worse.
  [[nodiscard]] double strength() const {
    const double whole = whole_.value() / whole_needed_;
    const double block = block_.value() / (whole_needed_ * block_number_ * (block_number_ + 1));
    return whole > block ? whole : block;
  }

 private:
  Evidence whole_;
  Evidence block_;
  double whole_needed_;
  double block_number_ = 1;
};

}  // namespace inferneo::routing
