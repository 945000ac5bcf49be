// The metrics of the process, typed: one struct for a served model, one for the server, with a
// member per row of metrics.def. Names, help and labels come from that table only, so a request's
// text can never create a series.
// Thread: any; updates are lock-free and allocate nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "observe/outcomes.h"

namespace inferneo::observe {

class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.fetch_add(amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(double amount) noexcept { value_.fetch_add(amount, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;
  // `bounds` ascending upper bounds; an infinite bucket is added. Borrowed for the lifetime.
  explicit Histogram(std::span<const double> bounds);
  // `count` equal observations at once.
  void observe(double value, std::uint64_t count = 1) noexcept;
  [[nodiscard]] std::span<const double> bounds() const { return bounds_; }
  // Observations in bucket `index` alone (not cumulative); index bounds().size() is the infinite
  // one. A value equal to a bound belongs to that bound's bucket.
  [[nodiscard]] std::uint64_t bucket(std::size_t index) const;
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::span<const double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
  std::atomic<double> sum_{0};
};

extern const std::span<const double> kTtftBuckets;
extern const std::span<const double> kItlBuckets;
extern const std::span<const double> kLatencyBuckets;
extern const std::span<const double> kTokenBuckets;
extern const std::span<const double> kChoiceBuckets;
extern const std::span<const double> kStepBuckets;

// A COUNTER_BY or INFO row has an enum of its label values (`request_success_label::stop`), which
// indexes its members.
struct ModelMetrics {
  ModelMetrics();
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;
#define GAUGE(scope, id, name, help) GAUGE_##scope(id)
#define COUNTER(scope, id, name, help) COUNTER_##scope(id)
#define COUNTER_BY(scope, id, name, help, label, ...) COUNTER_BY_##scope(id, __VA_ARGS__)
#define HISTOGRAM(scope, id, name, help, buckets) HISTOGRAM_##scope(id, buckets)
#define INFO(scope, id, name, help, ...) INFO_##scope(id, __VA_ARGS__)
#define GAUGE_Model(id) Gauge id;
#define COUNTER_Model(id) Counter id;
#define COUNTER_BY_Model(id, ...)                            \
  enum class id##_label : std::uint8_t{__VA_ARGS__, kCount}; \
  Counter id[static_cast<std::size_t>(id##_label::kCount)];
#define HISTOGRAM_Model(id, buckets) Histogram id{buckets};
#define INFO_Model(id, ...)                                  \
  enum class id##_label : std::uint8_t{__VA_ARGS__, kCount}; \
  Gauge id[static_cast<std::size_t>(id##_label::kCount)];
#define GAUGE_Server(id)
#define COUNTER_Server(id)
#define COUNTER_BY_Server(id, ...)
#define HISTOGRAM_Server(id, buckets)
#define INFO_Server(id, ...)
#include "observe/metrics.def"
  // Not a series: what rollouts compare versions by.
  OutcomeRecorder outcomes;
#undef GAUGE_Model
#undef COUNTER_Model
#undef COUNTER_BY_Model
#undef HISTOGRAM_Model
#undef INFO_Model
#undef GAUGE_Server
#undef COUNTER_Server
#undef COUNTER_BY_Server
#undef HISTOGRAM_Server
#undef INFO_Server
};

struct ServerMetrics {
  ServerMetrics();
  ServerMetrics(const ServerMetrics&) = delete;
  ServerMetrics& operator=(const ServerMetrics&) = delete;
#define GAUGE_Model(id)
#define COUNTER_Model(id)
#define COUNTER_BY_Model(id, ...)
#define HISTOGRAM_Model(id, buckets)
#define INFO_Model(id, ...)
#define GAUGE_Server(id) Gauge id;
#define COUNTER_Server(id) Counter id;
#define COUNTER_BY_Server(id, ...)                           \
  enum class id##_label : std::uint8_t{__VA_ARGS__, kCount}; \
  Counter id[static_cast<std::size_t>(id##_label::kCount)];
#define HISTOGRAM_Server(id, buckets) Histogram id{buckets};
#define INFO_Server(id, ...)                                 \
  enum class id##_label : std::uint8_t{__VA_ARGS__, kCount}; \
  Gauge id[static_cast<std::size_t>(id##_label::kCount)];
#include "observe/metrics.def"
#undef GAUGE_Model
#undef COUNTER_Model
#undef COUNTER_BY_Model
#undef HISTOGRAM_Model
#undef INFO_Model
#undef GAUGE_Server
#undef COUNTER_Server
#undef COUNTER_BY_Server
#undef HISTOGRAM_Server
#undef INFO_Server
#undef GAUGE
#undef COUNTER
#undef COUNTER_BY
#undef HISTOGRAM
#undef INFO
};

// A model's metrics with the name that becomes its label.
struct NamedModelMetrics {
  std::string model_name;
  const ModelMetrics* metrics = nullptr;
  std::string version = {};  // a label too, unless empty
};

// The exposition text. Spec: Prometheus text format 0.0.4; counters gain "_total".
std::string exposition(const ServerMetrics& server, std::span<const NamedModelMetrics> models);

// One row per metric for the generated reference: name as exposed, kind, help.
struct MetricRow {
  std::string_view name;
  std::string_view kind;
  std::string_view help;
};
std::vector<MetricRow> metric_rows();

}  // namespace inferneo::observe
