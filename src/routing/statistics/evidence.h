// Evidence that grows with data and may be looked at as often as one likes: e-processes. Under
// the hypothesis that the candidate is no worse, the chance that an e-process ever reaches 1/a is
// at most a, whenever one looks or stops (Ville's inequality). So repeated looks need no
// correction, and evidence of more data multiplies.
// Sources: Ville, "Etude critique de la notion de collectif" (1939); Ramdas, Gruenwald, Vovk,
// Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38
// (2023); Turner, Ly, Gruenwald, "Generic E-variables for exact sequential k-sample tests that
// allow for optional stopping", Journal of Statistical Planning and Inference 230 (2024).
// Why not Fisher's test or Mann-Whitney with a corrected level: they hold for one look; a
// correction for a look every half second of a rollout of unknown length would leave no power.
// Thread: one.
#pragma once

#include <array>
#include <cstdint>

namespace inferneo::routing {

// Two samples of one short span of time: how many values, and how many of them are hits (errors,
// or latencies above a threshold that was fixed before the span).
struct Stratum {
  std::uint64_t candidate_hits = 0;
  std::uint64_t candidate_values = 0;
  std::uint64_t stable_hits = 0;
  std::uint64_t stable_values = 0;
};

// That hits are likelier for the candidate than for the stable version. Given all margins of a
// stratum's 2x2 table, the candidate's hits follow Fisher's noncentral hypergeometric
// distribution of the odds ratio; the evidence is its likelihood ratio of a ratio above one
// against one, which is an e-value for every ratio up to one (it grows with the hits, and so does
// the distribution with the ratio). Strata multiply; the ratio is mixed over a grid (Robbins,
// "Statistical methods related to the law of the iterated logarithm", 1970).
// Why strata: what slows both versions down (a busy machine, other work) does so in the same span
// and cancels out, as in the test of Cochran, Mantel and Haenszel.
class OddsEvidence {
 public:
  // What one stratum may multiply the evidence by at most. A smaller e-value is an e-value, and one
  // burst of delays that are not independent cannot decide.
  explicit OddsEvidence(double stratum_max) : stratum_max_(stratum_max) {}

  void add(const Stratum& stratum);
  // The e-value; 1 without data.
  [[nodiscard]] double value() const;
  void restart() { log_ = {}; }

 private:
  // Odds ratios that are looked for. Why up to 256: a version that fails always.
  static constexpr std::array<double, 6> kRatios{1.7, 3, 6, 16, 64, 256};
  double stratum_max_;
  std::array<double, kRatios.size()> log_{};  // of the likelihood ratio, by odds ratio
};

// That the rate of hits is above `rate_max`: the binomial likelihood ratio of a higher rate against
// rate_max, mixed over a grid of higher ones. An e-process for every rate up to rate_max. Source:
// Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86
// (2024).
class RateEvidence {
 public:
  explicit RateEvidence(double rate_max);

  void add(std::uint64_t hits, std::uint64_t values);
  [[nodiscard]] double value() const;
  void restart() { log_ = {}; }

 private:
  // Where between rate_max and one the alternatives lie.
  static constexpr std::array<double, 5> kPlaces{0.05, 0.15, 0.3, 0.6, 0.9};
  std::array<double, kPlaces.size()> log_hit_{};   // factor of a hit, by alternative
  std::array<double, kPlaces.size()> log_miss_{};  // and of another value
  std::array<double, kPlaces.size()> log_{};
};

}  // namespace inferneo::routing
