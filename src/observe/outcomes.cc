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

// Bound: 32 bits last for 1,300 years of ten seconds each.
std::uint64_t span_number(TimePoint now, std::int64_t seconds) {
  const auto since_epoch = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  return static_cast<std::uint64_t>(since_epoch.count() / seconds) & 0xffffffff;
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
  begun += other.begun;
  begun_per_second += other.begun_per_second;
  ended_unanswered += other.ended_unanswered;
  succeeded += other.succeeded;
  failed += other.failed;
  refused += other.refused;
  cancelled += other.cancelled;
  non_finite += other.non_finite;
  first_token += other.first_token;
  prompt_token += other.prompt_token;
  inter_token += other.inter_token;
  return *this;
}

Outcomes& Outcomes::operator-=(const Outcomes& earlier) {
  begun = difference(begun, earlier.begun);
  ended_unanswered = difference(ended_unanswered, earlier.ended_unanswered);
  succeeded = difference(succeeded, earlier.succeeded);
  failed = difference(failed, earlier.failed);
  refused = difference(refused, earlier.refused);
  cancelled = difference(cancelled, earlier.cancelled);
  non_finite = difference(non_finite, earlier.non_finite);
  first_token -= earlier.first_token;
  prompt_token -= earlier.prompt_token;
  inter_token -= earlier.inter_token;
  return *this;
}

std::uint64_t Outcomes::unanswered() const {
  return difference(begun, first_token.total() + ended_unanswered);
}

void OutcomeRecorder::count_begun(TimePoint now) noexcept {
  begun_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t span = span_number(now, kRateSlotSeconds);
  RateSlot& slot = rate_slots_[span % kRateSlotCount];
  std::uint64_t old = slot.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = old >> 32 == span ? old + 1 : (span << 32) + 1;
  } while (!slot.compare_exchange_weak(old, next, std::memory_order_relaxed));
}

void OutcomeRecorder::count(Outcome outcome, bool had_first_token) noexcept {
  if (!had_first_token && outcome != Outcome::kRefused) {
    ended_unanswered_.fetch_add(1, std::memory_order_relaxed);
  }
  counts_[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
}

void OutcomeRecorder::observe_first_token(double seconds,
                                          std::int32_t computed_prompt_tokens) noexcept {
  first_token_[latency_bucket(seconds)].fetch_add(1, std::memory_order_relaxed);
  const double per_token = seconds / std::max(computed_prompt_tokens, 1);
  prompt_token_[latency_bucket(per_token)].fetch_add(1, std::memory_order_relaxed);
}

void OutcomeRecorder::observe_inter_token(double mean_seconds) noexcept {
  inter_token_[latency_bucket(mean_seconds)].fetch_add(1, std::memory_order_relaxed);
}

Outcomes OutcomeRecorder::read(TimePoint now) const {
  const auto count_of = [this](Outcome outcome) {
    return counts_[static_cast<std::size_t>(outcome)].load(std::memory_order_relaxed);
  };
  Outcomes outcomes;
  // The spans that are over; the current one would pull the rate down. The first ones of all may
  // have begun before the recorder existed.
  const std::uint64_t current = span_number(now, kRateSlotSeconds);
  std::uint64_t recent = 0;
  for (const RateSlot& slot : rate_slots_) {
    const std::uint64_t value = slot.load(std::memory_order_relaxed);
    const std::uint64_t span = value >> 32;
    if (span < current && span + kRateSlotCount > current) recent += value & 0xffffffff;
  }
  constexpr auto kSpanCount = static_cast<double>(kRateSlotCount - 1);
  outcomes.begun_per_second = static_cast<double>(recent) / (kSpanCount * kRateSlotSeconds);
  outcomes.begun = begun_.load(std::memory_order_relaxed);
  outcomes.ended_unanswered = ended_unanswered_.load(std::memory_order_relaxed);
  outcomes.non_finite = count_of(Outcome::kNonFinite);
  outcomes.succeeded = count_of(Outcome::kSucceeded);
  outcomes.failed = count_of(Outcome::kFailed) + outcomes.non_finite;
  outcomes.refused = count_of(Outcome::kRefused);
  outcomes.cancelled = count_of(Outcome::kCancelled);
  outcomes.first_token = read_buckets(first_token_);
  outcomes.prompt_token = read_buckets(prompt_token_);
  outcomes.inter_token = read_buckets(inter_token_);
  return outcomes;
}

}  // namespace inferneo::observe
