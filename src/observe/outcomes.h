// What became of the requests of one served version: counts that only grow and latency histograms
// with fine buckets of constant relative width. Two readings subtracted are the window between
// them, so the data plane keeps no window and nobody resets anything.
// Thread: writes any (relaxed atomics, no allocation); readings are plain values. A reading taken
// while requests end may count a request in one field and not yet in another.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace inferneo::observe {

// Buckets of the latency histograms. Bucket 0 holds everything below 1 us, the last everything
// from its lower bound on; in between each is wider by the factor 2^(1/8), 9 %, up to 1,000 s.
inline constexpr std::size_t kLatencyBucketCount = 241;
inline constexpr std::size_t kLatencyBucketsPerOctave = 8;
inline constexpr double kLatencyFloorSeconds = 1e-6;

// The bucket of a value; NaN and negative values go to bucket 0.
std::size_t latency_bucket(double seconds);
// Values of the bucket are at least this; 0 for bucket 0.
double latency_bucket_lower_bound(std::size_t bucket);

// Tokens over which the time between tokens is averaged for the first value of an answer; each
// further value averages over kPaceGrowth times as many. Why 16: evidence of a slow version comes
// within the first second of an answer, and one long step is not mistaken for a slow version. Why
// growing: a long answer is not to count as many.
inline constexpr std::int32_t kPaceTokenCount = 16;
inline constexpr std::int32_t kPaceGrowth = 4;

struct LatencyCounts {
  std::array<std::uint64_t, kLatencyBucketCount> buckets{};

  [[nodiscard]] std::uint64_t total() const;
  // Values in buckets from `bucket` on.
  [[nodiscard]] std::uint64_t at_or_above(std::size_t bucket) const;
  // Upper bound of the bucket in which the quantile lies (at most 9 % too high); 0 without values.
  [[nodiscard]] double quantile(double share) const;
  LatencyCounts& operator+=(const LatencyCounts& other);
  LatencyCounts& operator-=(const LatencyCounts& earlier);
};

// A reading, or the window between two.
struct Outcomes {
  std::uint64_t begun = 0;      // accepted by the engine
  double begun_per_second = 0;  // of readings: over the last minute or so
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;            // faults, deadlines; and the requests of non_finite
  std::uint64_t refused = 0;           // queue full, draining: the version could not take them
  std::uint64_t cancelled = 0;         // the client left: evidence of nothing
  std::uint64_t non_finite = 0;        // ended because their logits were not finite; part of failed
  std::uint64_t ended_unanswered = 0;  // of all that ended: before their first token
  LatencyCounts first_token;           // submission to first token, one value a request
  // The same divided by the prompt tokens that were computed, not found in the prefix cache. Why: a
  // version that has just got its requests has a cold cache and answers later without being worse.
  LatencyCounts prompt_token;
  // Mean time between two tokens of one choice, over spans of growing length and over what is left
  // at its end. Why not one value a gap: gaps of neighbouring tokens, and of choices in one batch,
  // are far from independent, which the tests assume.
  LatencyCounts inter_token;

  // Begun, and neither ended nor answered by a first token yet. Of readings, not of windows.
  [[nodiscard]] std::uint64_t unanswered() const;
  [[nodiscard]] std::uint64_t errors() const { return failed + refused; }
  // Requests that are evidence.
  [[nodiscard]] std::uint64_t judged() const { return succeeded + errors(); }
  Outcomes& operator+=(const Outcomes& other);
  // `earlier` is an earlier reading of the same recorder.
  Outcomes& operator-=(const Outcomes& earlier);
};

inline Outcomes operator+(Outcomes a, const Outcomes& b) { return a += b; }
inline Outcomes operator-(Outcomes later, const Outcomes& earlier) { return later -= earlier; }

enum class Outcome : std::uint8_t { kSucceeded, kFailed, kRefused, kCancelled, kNonFinite };

// The writing side, one a served version.
class OutcomeRecorder {
 public:
  OutcomeRecorder() = default;
  OutcomeRecorder(const OutcomeRecorder&) = delete;
  OutcomeRecorder& operator=(const OutcomeRecorder&) = delete;

  void count_begun(TimePoint now) noexcept;
  // A request that was refused never began; all others end with one of these.
  void count(Outcome outcome, bool had_first_token) noexcept;
  void observe_first_token(double seconds, std::int32_t computed_prompt_tokens) noexcept;
  void observe_inter_token(double mean_seconds) noexcept;
  [[nodiscard]] Outcomes read(TimePoint now) const;

 private:
  using Buckets = std::array<std::atomic<std::uint64_t>, kLatencyBucketCount>;
  // The number of a span of time in the upper half, what began in it in the lower.
  using RateSlot = std::atomic<std::uint64_t>;
  static constexpr std::int64_t kRateSlotSeconds = 10;
  static constexpr std::size_t kRateSlotCount = 8;

  std::atomic<std::uint64_t> begun_{0};
  std::array<RateSlot, kRateSlotCount> rate_slots_{};
  std::atomic<std::uint64_t> ended_unanswered_{0};
  std::array<std::atomic<std::uint64_t>, 5> counts_{};  // by Outcome
  Buckets first_token_{};
  Buckets prompt_token_{};
  Buckets inter_token_{};
};

}  // namespace inferneo::observe
