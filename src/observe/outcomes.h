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

namespace inferneo::observe {

// Buckets of the latency histograms. Bucket 0 holds everything below 100 us, the last everything
// from its lower bound on; in between each is wider by the factor 2^(1/8), 9 %, up to 1.7e3 s.
inline constexpr std::size_t kLatencyBucketCount = 194;
inline constexpr std::size_t kLatencyBucketsPerOctave = 8;
inline constexpr double kLatencyFloorSeconds = 1e-4;

// The bucket of a value; NaN and negative values go to bucket 0.
std::size_t latency_bucket(double seconds);
// Values of the bucket are at least this; 0 for bucket 0.
double latency_bucket_lower_bound(std::size_t bucket);

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
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;      // faults, deadlines; and the requests of non_finite
  std::uint64_t refused = 0;     // queue full, draining: the version could not take them
  std::uint64_t cancelled = 0;   // the client left: evidence of nothing
  std::uint64_t non_finite = 0;  // ended because their logits were not finite; part of failed
  LatencyCounts first_token;     // submission to first token, one value a request
  // Mean time between two tokens, one value a request. Why not one a token: gaps of one request,
  // and of requests in one batch, are far from independent, which the tests assume.
  LatencyCounts inter_token;

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

  void count(Outcome outcome) noexcept;
  void observe_first_token(double seconds) noexcept;
  void observe_inter_token(double mean_seconds) noexcept;
  [[nodiscard]] Outcomes read() const;

 private:
  using Buckets = std::array<std::atomic<std::uint64_t>, kLatencyBucketCount>;
  std::array<std::atomic<std::uint64_t>, 5> counts_{};  // by Outcome
  Buckets first_token_{};
  Buckets inter_token_{};
};

}  // namespace inferneo::observe
