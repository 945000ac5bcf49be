#include "observe/outcomes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace inferneo::observe {
namespace {

constexpr TimePoint kStart{std::chrono::seconds(100'000)};

TEST(Outcomes, buckets_meet_without_gaps_and_have_a_constant_width) {
  for (std::size_t bucket = 1; bucket < kLatencyBucketCount; ++bucket) {
    const double lower = latency_bucket_lower_bound(bucket);
    EXPECT_EQ(latency_bucket(lower * 1.001), bucket);
    EXPECT_EQ(latency_bucket(lower * 0.999), bucket - 1);
    if (bucket > 1) {
      EXPECT_NEAR(lower / latency_bucket_lower_bound(bucket - 1), std::exp2(0.125), 1e-9);
    }
  }
  EXPECT_NEAR(latency_bucket_lower_bound(kLatencyBucketCount - 1), 1e3, 30);
}

TEST(Outcomes, values_that_are_no_latency_are_counted_and_harm_nothing) {
  EXPECT_EQ(latency_bucket(-1), 0U);
  EXPECT_EQ(latency_bucket(std::nan("")), 0U);
  EXPECT_EQ(latency_bucket(std::numeric_limits<double>::infinity()), kLatencyBucketCount - 1);
}

TEST(Outcomes, quantiles_are_at_most_one_bucket_too_high) {
  OutcomeRecorder recorder;
  for (int i = 1; i <= 1000; ++i) recorder.observe_inter_token(i * 1e-3);
  const LatencyCounts counts = recorder.read(kStart).inter_token;
  for (const double share : {0.01, 0.5, 0.95, 1.0}) {
    EXPECT_GE(counts.quantile(share), share * 0.999);
    EXPECT_LE(counts.quantile(share), share * 1.1);
  }
  EXPECT_EQ(LatencyCounts{}.quantile(0.95), 0);
}

TEST(Outcomes, the_difference_of_two_readings_is_what_happened_between_them) {
  OutcomeRecorder recorder;
  recorder.count_begun(kStart);
  recorder.observe_first_token(0.2, 100);
  recorder.count(Outcome::kSucceeded, true);
  const Outcomes earlier = recorder.read(kStart);
  for (int i = 0; i < 3; ++i) recorder.count_begun(kStart);
  recorder.count(Outcome::kNonFinite, false);
  recorder.count(Outcome::kCancelled, true);
  recorder.count(Outcome::kRefused, false);
  recorder.observe_first_token(0.4, 0);
  const Outcomes window = recorder.read(kStart) - earlier;
  EXPECT_EQ(window.begun, 3U);
  EXPECT_EQ(window.succeeded, 0U);
  EXPECT_EQ(window.failed, 1U) << "a request with non-finite logits has failed";
  EXPECT_EQ(window.non_finite, 1U);
  EXPECT_EQ(window.refused, 1U);
  EXPECT_EQ(window.cancelled, 1U);
  EXPECT_EQ(window.errors(), 2U);
  EXPECT_EQ(window.judged(), 2U) << "a client that left is evidence of nothing";
  EXPECT_EQ(window.ended_unanswered, 1U) << "a refused request never began";
  EXPECT_EQ(window.first_token.total(), 1U);
  EXPECT_EQ(window.prompt_token.quantile(1), window.first_token.quantile(1))
      << "a prompt that was cached whole counts as one token";
  EXPECT_NEAR(earlier.prompt_token.quantile(1), 0.002, 0.0002);
}

TEST(Outcomes, unanswered_requests_are_those_without_token_and_end) {
  OutcomeRecorder recorder;
  for (int i = 0; i < 5; ++i) recorder.count_begun(kStart);
  recorder.observe_first_token(0.1, 10);
  recorder.count(Outcome::kSucceeded, true);
  recorder.count(Outcome::kFailed, false);
  EXPECT_EQ(recorder.read(kStart).unanswered(), 3U);
}

TEST(Outcomes, the_rate_is_that_of_the_last_minute_and_fades) {
  OutcomeRecorder recorder;
  for (int second = 0; second < 200; ++second) {
    for (int i = 0; i < 5; ++i) recorder.count_begun(kStart + std::chrono::seconds(second));
  }
  const TimePoint end = kStart + std::chrono::seconds(200);
  EXPECT_NEAR(recorder.read(end).begun_per_second, 5, 0.4);
  EXPECT_LT(recorder.read(end + std::chrono::seconds(40)).begun_per_second, 4);
  EXPECT_EQ(recorder.read(end + std::chrono::seconds(90)).begun_per_second, 0);
}

}  // namespace
}  // namespace inferneo::observe
