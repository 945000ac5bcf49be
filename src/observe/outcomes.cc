#include "observe/outcomes.h"

#include <algorithm>
#include <cmath>

namespace inferneo::observe {
namespace {

// Bound: counters of one recorder only grow, but a reading is not one moment; a window never
// shows fewer than none.
std::uint64_t difference(std::uint64_t later, std::uint64_t earlier) {
  return later > earlier ? later - earlier : 0;
}

template <typename Buckets>
LatencyCounts read_buckets(const Buckets& buckets) {
  LatencyCounts counts;
  for (std::size_t i = 0; i < kLatencyBucketCount; ++i) {
    counts.buckets[i] = buckets[i].load(std::memory_order_relaxed);
  }
  return counts;
}

}  // namespace

std::size_t latency_bucket(double seconds) {
  if (!(seconds >= kLatencyFloorSeconds)) return 0;
  const double octaves = std::log2(seconds / kLatencyFloorSeconds);
  const double bucket = 1.0 + std::floor(octaves * static_cast<double>(kLatencyBucketsPerOctave));
  return static_cast<std::size_t>(std::min(bucket, static_cast<double>(kLatencyBucketCount - 1)));
}

double latency_bucket_lower_bound(std::size_t bucket) {
  if (bucket == 0) return 0;
  return kLatencyFloorSeconds *
         std::exp2(static_cast<double>(bucket - 1) / static_cast<double>(kLatencyBucketsPerOctave));
}

std::uint64_t LatencyCounts::total() const { return at_or_above(0); }

std::uint64_t LatencyCounts::at_or_above(std::size_t bucket) const {
  std::uint64_t sum = 0;
  for (std::size_t i = bucket; i < kLatencyBucketCount; ++i) sum += buckets[i];
  return sum;
}

double LatencyCounts::quantile(double share) const {
  const std::uint64_t all = total();
  if (all == 0) return 0;
  const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(all));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i + 1 < kLatencyBucketCount; ++i) {
    below += buckets[i];
    if (static_cast<double>(below) >= wanted) return latency_bucket_lower_bound(i + 1);
  }
  return latency_bucket_lower_bound(kLatencyBucketCount - 1);
}

LatencyCounts& LatencyCounts::operator+=(const LatencyCounts& other) {
  for (std::size_t i = 0; i < kLatencyBucketCount; ++i) buckets[i] += other.buckets[i];
  return *this;
}

LatencyCounts& LatencyCounts::operator-=(const LatencyCounts& earlier) {
  for (std::size_t i = 0; i < kLatencyBucketCount; ++i) {
    buckets[i] = difference(buckets[i], earlier.buckets[i]);
  }
  return *this;
}

Outcomes& Outcomes::operator+=(const Outcomes& other) {
  succeeded += other.succeeded;
  failed += other.failed;
  refused += other.refused;
  cancelled += other.cancelled;
  non_finite += other.non_finite;
  first_token += other.first_token;
  inter_token += other.inter_token;
  return *this;
}

Outcomes& Outcomes::operator-=(const Outcomes& earlier) {
  succeeded = difference(succeeded, earlier.succeeded);
  failed = difference(failed, earlier.failed);
  refused = difference(refused, earlier.refused);
  cancelled = difference(cancelled, earlier.cancelled);
  non_finite = difference(non_finite, earlier.non_finite);
  first_token -= earlier.first_token;
  inter_token -= earlier.inter_token;
  return *this;
}

void OutcomeRecorder::count(Outcome outcome) noexcept {
  counts_[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
}

void OutcomeRecorder::observe_first_token(double seconds) noexcept {
  first_token_[latency_bucket(seconds)].fetch_add(1, std::memory_order_relaxed);
}

void OutcomeRecorder::observe_inter_token(double mean_seconds) noexcept {
  inter_token_[latency_bucket(mean_seconds)].fetch_add(1, std::memory_order_relaxed);
}

Outcomes OutcomeRecorder::read() const {
  const auto value = [this](Outcome outcome) {
    return counts_[static_cast<std::size_t>(outcome)].load(std::memory_order_relaxed);
  };
  Outcomes outcomes;
  outcomes.non_finite = value(Outcome::kNonFinite);
  outcomes.succeeded = value(Outcome::kSucceeded);
  outcomes.failed = value(Outcome::kFailed) + outcomes.non_finite;
  outcomes.refused = value(Outcome::kRefused);
  outcomes.cancelled = value(Outcome::kCancelled);
  outcomes.first_token = read_buckets(first_token_);
  outcomes.inter_token = read_buckets(inter_token_);
  return outcomes;
}

}  // namespace inferneo::observe
