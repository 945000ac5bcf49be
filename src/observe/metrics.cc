#include "observe/metrics.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace inferneo::observe {
namespace {

// Why: the bounds of the first three are those of vLLM, so that its dashboards keep their shape.
constexpr std::array kTtftBounds{0.001, 0.005, 0.01, 0.02,  0.04,  0.06,  0.08, 0.1,
                                 0.25,  0.5,   0.75, 1.0,   2.5,   5.0,   7.5,  10.0,
                                 20.0,  40.0,  80.0, 160.0, 640.0, 2560.0};
constexpr std::array kItlBounds{0.01,
                                0.025,
                                0.05,
                                0.075,
                                0.1,
                                0.15,
                                0.2,
                                0.3,
                                0.4,
                                0.5,
                                0.75,
                                1.0,
                                2.5,
                                5.0,
                                7.5,
                                10.0,
                                20.0,
                                40.0,
                                80.0};
constexpr std::array kLatencyBounds{0.3,  0.5,   0.8,   1.0,   1.5,   2.0,    2.5,
                                    5.0,  10.0,  15.0,  20.0,  30.0,  40.0,   50.0,
                                    60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};
// Why: 1-2-5 steps up to the longest contexts in use.
constexpr std::array kTokenBounds{1.0,
                                  2.0,
                                  5.0,
                                  10.0,
                                  20.0,
                                  50.0,
                                  100.0,
                                  200.0,
                                  500.0,
                                  1000.0,
                                  2000.0,
                                  5000.0,
                                  10000.0,
                                  20000.0,
                                  50000.0,
                                  100000.0,
                                  200000.0};
constexpr std::array kChoiceBounds{1.0, 2.0, 5.0, 10.0, 20.0};
// Why: the aim is 50 us per step, so the bounds are dense around it.
constexpr std::array kStepBounds{
    5e-6, 1e-5, 2e-5, 3e-5, 5e-5, 7.5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 0.1, 1.0};

}  // namespace

constinit const std::span<const double> kTtftBuckets{kTtftBounds};
constinit const std::span<const double> kItlBuckets{kItlBounds};
constinit const std::span<const double> kLatencyBuckets{kLatencyBounds};
constinit const std::span<const double> kTokenBuckets{kTokenBounds};
constinit const std::span<const double> kChoiceBuckets{kChoiceBounds};
constinit const std::span<const double> kStepBuckets{kStepBounds};

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds), buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds.size() + 1)) {
  CHECK(std::is_sorted(bounds.begin(), bounds.end()));
}

void Histogram::observe(double value, std::uint64_t count) noexcept {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  buckets_[static_cast<std::size_t>(bound - bounds_.begin())].fetch_add(count,
                                                                        std::memory_order_relaxed);
  sum_.fetch_add(value * static_cast<double>(count), std::memory_order_relaxed);
}

std::uint64_t Histogram::bucket(std::size_t index) const {
  CHECK(index <= bounds_.size());
  return buckets_[index].load(std::memory_order_relaxed);
}

ModelMetrics::ModelMetrics() = default;
ServerMetrics::ServerMetrics() = default;

}  // namespace inferneo::observe
