// The tests behind the gates: exactness on small cases by enumeration, and their levels and power
// by simulation with fixed seeds.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "routing/statistics/binomial.h"
#include "routing/statistics/evidence.h"
#include "routing/statistics/repeated_test.h"

namespace inferneo::routing {
namespace {

double choose(std::uint64_t n, std::uint64_t k) {
  double value = 1;
  for (std::uint64_t i = 0; i < k; ++i) {
    value *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return value;
}

double binomial(std::uint64_t k, std::uint64_t n, double p) {
  return choose(n, k) * std::pow(p, static_cast<double>(k)) *
         std::pow(1 - p, static_cast<double>(n - k));
}

TEST(Binomial, cumulated_probabilities_agree_with_their_definition) {
  for (const std::uint64_t n : {1U, 7U, 30U}) {
    for (const double p : {0.01, 0.05, 0.5, 0.93}) {
      double sum = 0;
      for (std::uint64_t k = 0; k <= n; ++k) {
        sum += binomial(k, n, p);
        EXPECT_NEAR(binomial_at_most(k, n, p), std::min(sum, 1.0), 1e-12) << k << " of " << n;
      }
    }
  }
  // Summed term by term in another program.
  EXPECT_NEAR(binomial_at_most(48'000, 1'000'000, 0.05), 1.32106e-20, 1e-24);
}

TEST(Binomial, far_from_the_mean_is_zero_or_one) {
  EXPECT_EQ(binomial_at_most(650, 1300, 0.05), 1);
  EXPECT_LT(binomial_at_most(10, 100'000, 0.5), 1e-300);
  EXPECT_EQ(binomial_at_most(99'990, 100'000, 0.5), 1);
  // Left out: 3 standard deviations below the mean of 65, more or less.
  const auto left_out = values_above_quantile(1300, 0.95, 1e-3);
  ASSERT_TRUE(left_out.has_value());
  EXPECT_GE(*left_out, 38U);
  EXPECT_LE(*left_out, 44U);
}

TEST(Binomial, upper_bounds_are_those_of_clopper_and_pearson) {
  // 1 - risk^(1/n) without hits: the rule of three.
  EXPECT_NEAR(rate_upper_bound(0, 100, 0.05), 1 - std::pow(0.05, 0.01), 1e-9);
  // The 97.5 % point of the beta distribution with 11 and 90.
  EXPECT_NEAR(rate_upper_bound(10, 100, 0.025), 0.1762226, 1e-6);
  EXPECT_EQ(rate_upper_bound(5, 5, 0.05), 1);
}

TEST(Binomial, a_quantile_is_bounded_only_by_enough_values) {
  // 0.95^n <= 0.05 from n = 59 on.
  EXPECT_FALSE(values_above_quantile(58, 0.95, 0.05).has_value());
  EXPECT_EQ(values_above_quantile(59, 0.95, 0.05), 0U);
  EXPECT_FALSE(values_above_quantile(0, 0.95, 0.05).has_value());
  const auto left_out = values_above_quantile(1000, 0.95, 0.001);
  ASSERT_TRUE(left_out.has_value());
  EXPECT_LE(binomial_at_most(*left_out, 1000, 0.05), 0.001);
  EXPECT_GT(binomial_at_most(*left_out + 1, 1000, 0.05), 0.001);
}

// What makes a number an e-value: under the hypothesis its expectation is at most one. Given the
// margins the candidate's hits are hypergeometric, so the expectation can be summed.
TEST(OddsEvidence, expectation_is_one_at_even_odds_and_less_below) {
  struct Margins {
    std::uint64_t candidate, stable, hits;
  };
  for (const Margins margins :
       {Margins{3, 4, 2}, {10, 90, 5}, {90, 10, 50}, {1, 1, 1}, {5, 5, 9}}) {
    for (const double odds : {1.0, 0.5, 0.1}) {
      double weight = 0;
      double expectation = 0;
      for (std::uint64_t k = 0; k <= margins.hits; ++k) {
        if (k > margins.candidate || margins.hits - k > margins.stable) continue;
        OddsEvidence evidence(1e300);
        evidence.add({.candidate_hits = k,
                      .candidate_values = margins.candidate,
                      .stable_hits = margins.hits - k,
                      .stable_values = margins.stable});
        const double chance = choose(margins.candidate, k) *
                              choose(margins.stable, margins.hits - k) *
                              std::pow(odds, static_cast<double>(k));
        weight += chance;
        expectation += chance * evidence.value();
      }
      expectation /= weight;
      EXPECT_LE(expectation, 1 + 1e-9);
      if (odds == 1) {
        EXPECT_NEAR(expectation, 1, 1e-9);
      }
    }
  }
}

TEST(OddsEvidence, tables_that_their_margins_determine_say_nothing) {
  OddsEvidence evidence(100);
  evidence.add({.candidate_hits = 5, .candidate_values = 5, .stable_hits = 0, .stable_values = 0});
  evidence.add({.candidate_hits = 0, .candidate_values = 9, .stable_hits = 0, .stable_values = 9});
  evidence.add({.candidate_hits = 4, .candidate_values = 4, .stable_hits = 7, .stable_values = 7});
  EXPECT_DOUBLE_EQ(evidence.value(), 1);
}

TEST(OddsEvidence, one_stratum_adds_no_more_than_its_bound) {
  OddsEvidence evidence(30);
  evidence.add(
      {.candidate_hits = 50, .candidate_values = 50, .stable_hits = 0, .stable_values = 500});
  EXPECT_LE(evidence.value(), 30 + 1e-9);
  EXPECT_GT(evidence.value(), 15);
  evidence.add(
      {.candidate_hits = 50, .candidate_values = 50, .stable_hits = 0, .stable_values = 500});
  EXPECT_GT(evidence.value(), 500);
  evidence.restart();
  EXPECT_DOUBLE_EQ(evidence.value(), 1);
}

TEST(OddsEvidence, large_strata_stay_finite) {
  OddsEvidence evidence(1e300);
  for (int i = 0; i < 5; ++i) {
    evidence.add({.candidate_hits = 20'000,
                  .candidate_values = 20'000,
                  .stable_hits = 0,
                  .stable_values = 20'000});
  }
  EXPECT_TRUE(std::isfinite(evidence.value()));
  EXPECT_GT(evidence.value(), 1e100);
}

TEST(RateEvidence, expectation_is_one_at_the_allowed_rate_and_less_below) {
  for (const double rate : {0.05, 0.02}) {
    double expectation = 0;
    for (std::uint64_t k = 0; k <= 20; ++k) {
      RateEvidence evidence(0.05);
      evidence.add(k, 20);
      expectation += binomial(k, 20, rate) * evidence.value();
    }
    EXPECT_LE(expectation, 1 + 1e-9);
    if (rate == 0.05) {
      EXPECT_NEAR(expectation, 1, 1e-9);
    }
  }
}

// Looked at after every one of 400 strata with new blocks on the way: false alarms stay below the
// level although one looks as often as one likes. Three sigma above 2 % of 1,000 runs are 33.
TEST(RepeatedTest, level_holds_for_all_looks_together) {
  std::mt19937_64 random(11);
  constexpr double kRisk = 0.02;
  int alarms = 0;
  for (int run = 0; run < 1000; ++run) {
    RepeatedTest<OddsEvidence> test(OddsEvidence(1e4), kRisk);
    bool alarmed = false;
    for (int look = 0; look < 400 && !alarmed; ++look) {
      if (look % 10 == 0) test.begin_block();
      std::binomial_distribution<std::uint64_t> candidate(3, 0.05);
      std::binomial_distribution<std::uint64_t> stable(12, 0.05);
      test.add(Stratum{candidate(random), 3, stable(random), 12});
      alarmed = test.strength() >= 1;
    }
    alarms += alarmed ? 1 : 0;
  }
  EXPECT_LE(alarms, 33) << "of 1000";
}

TEST(RepeatedTest, a_candidate_that_breaks_after_a_long_good_time_is_found_quickly) {
  RepeatedTest<OddsEvidence> test(OddsEvidence(1e4), 0.01);
  for (int look = 0; look < 400; ++look) {
    if (look % 40 == 0) test.begin_block();
    test.add(Stratum{look % 20 == 0 ? 1U : 0U, 10, look % 20 == 10 ? 1U : 0U, 10});
  }
  EXPECT_LT(test.strength(), 1);
  test.begin_block();
  int looks = 0;
  while (test.strength() < 1 && looks < 100) {
    test.add(Stratum{5, 10, 0, 10});
    ++looks;
  }
  EXPECT_LE(looks, 6);
}

TEST(RepeatedTest, what_slows_both_versions_is_evidence_against_neither) {
  RepeatedTest<OddsEvidence> test(OddsEvidence(30), 0.01);
  for (int look = 0; look < 50; ++look) {
    const bool busy = look % 7 == 0;  // then everything is slow
    test.add(Stratum{busy ? 9U : 0U, 9, busy ? 40U : 2U, 40});
  }
  EXPECT_LT(test.strength(), 0.1);
}

}  // namespace
}  // namespace inferneo::routing
