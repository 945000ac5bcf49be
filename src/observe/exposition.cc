// The table of metrics.def as Prometheus text. Spec: Prometheus exposition format 0.0.4.
// Why an own writer: the typed table already is the registry, and the format is a few lines; a
// metrics library would add a second registry of label maps behind locks.
#include <cmath>
#include <vector>

#include "base/str.h"
#include "observe/metrics.h"

namespace inferneo::observe {
namespace {

// Spec: in a label value a backslash, a quote and a line feed are escaped.
void append_label(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    append_piece(out, value);
  }
}

// One label value per name in `list`, the text of a macro's arguments ("stop, length").
std::vector<std::string_view> split_values(std::string_view list) {
  std::vector<std::string_view> values;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view value = list.substr(0, comma);
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (value.size() > 1 && value[0] == 's' && value[1] >= '0' && value[1] <= '9') {
      value.remove_prefix(1);  // an identifier cannot begin with a digit, a label value can
    }
    values.push_back(value);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return values;
}

// Writes the samples of one family; `labels` are those of the scope, without braces.
class FamilyWriter {
 public:
  FamilyWriter(std::string& out,
               std::string_view name,
               std::string_view kind,
               std::string_view help)
      : out_(out), name_(name) {
    if (kind == "counter") name_ += "_total";
    out_ += str("# HELP ", name_, " ", help, "\n# TYPE ", name_, " ", kind, "\n");
  }

  void gauge(std::string_view labels, const Gauge& gauge) {
    begin("", labels);
    end(gauge.value());
  }
  void counter(std::string_view labels, const Counter& counter) {
    begin("", labels);
    end(counter.value());
  }
  void counters(std::string_view labels,
                std::string_view label,
                std::string_view values,
                const Counter* counters) {
    for (const std::string_view value : split_values(values)) {
      std::string extra;
      append_label(extra, label, value);
      begin("", labels, extra);
      end((counters++)->value());
    }
  }
  void info(std::string_view labels, std::string_view names, const Gauge* gauges) {
    std::string extra;
    for (const std::string_view name : split_values(names)) {
      if (!extra.empty()) extra += ',';
      append_label(extra, name, str(std::llround((gauges++)->value())));
    }
    begin("", labels, extra);
    end(std::uint64_t{1});
  }
  // Why the count comes from the buckets: reading both separately could show a bucket above count.
  void histogram(std::string_view labels, const Histogram& histogram) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) {
      count += histogram.bucket(i);
      std::string bound = "le=\"";
      append_number(bound, i < histogram.bounds().size() ? histogram.bounds()[i] : INFINITY);
      begin("_bucket", labels, bound + '"');
      end(count);
    }
    begin("_sum", labels);
    end(histogram.sum());
    begin("_count", labels);
    end(count);
  }

 private:
  void begin(std::string_view suffix, std::string_view labels, std::string_view extra = {}) {
    out_ += name_;
    out_ += suffix;
    if (!labels.empty() || !extra.empty()) {
      out_ += str("{", labels, labels.empty() || extra.empty() ? "" : ",", extra, "}");
    }
    out_ += ' ';
  }
  void end(double value) {
    append_number(out_, value);
    out_ += '\n';
  }
  void end(std::uint64_t value) {
    append_piece(out_, value);
    out_ += '\n';
  }

  std::string& out_;
  std::string name_;
};

struct LabelledModel {
  std::string labels;
  const ModelMetrics& metrics;
};

}  // namespace

std::string exposition(const ServerMetrics& server, std::span<const NamedModelMetrics> models) {
  std::vector<LabelledModel> labelled;
  for (const NamedModelMetrics& model : models) {
    std::string labels = "engine=\"0\",";
    append_label(labels, "model_name", model.model_name);
    if (!model.version.empty()) {
      labels += ',';
      append_label(labels, "version", model.version);
    }
    labelled.push_back({std::move(labels), *model.metrics});
  }
  std::string out;
#define EACH_Model(write, id, ...)            \
  for (const LabelledModel& model : labelled) \
  family.write(model.labels, __VA_ARGS__ model.metrics.id)
#define EACH_Server(write, id, ...) family.write("", __VA_ARGS__ server.id)
#define COMMA ,
#define GAUGE(scope, id, name, help)               \
  {                                                \
    FamilyWriter family(out, name, "gauge", help); \
    EACH_##scope(gauge, id, );                     \
  }
#define COUNTER(scope, id, name, help)               \
  {                                                  \
    FamilyWriter family(out, name, "counter", help); \
    EACH_##scope(counter, id, );                     \
  }
#define COUNTER_BY(scope, id, name, help, label, ...)            \
  {                                                              \
    FamilyWriter family(out, name, "counter", help);             \
    EACH_##scope(counters, id, #label COMMA #__VA_ARGS__ COMMA); \
  }
#define HISTOGRAM(scope, id, name, help, buckets)      \
  {                                                    \
    FamilyWriter family(out, name, "histogram", help); \
    EACH_##scope(histogram, id, );                     \
  }
#define INFO(scope, id, name, help, ...)           \
  {                                                \
    FamilyWriter family(out, name, "gauge", help); \
    EACH_##scope(info, id, #__VA_ARGS__ COMMA);    \
  }
#include "observe/metrics.def"
#undef GAUGE
#undef COUNTER
#undef COUNTER_BY
#undef HISTOGRAM
#undef INFO
#undef EACH_Model
#undef EACH_Server
#undef COMMA
  return out;
}

std::vector<MetricRow> metric_rows() {
  return {
#define GAUGE(scope, id, name, help) {name, "gauge", help},
#define COUNTER(scope, id, name, help) {name "_total", "counter", help},
#define COUNTER_BY(scope, id, name, help, label, ...) {name "_total", "counter", help},
#define HISTOGRAM(scope, id, name, help, buckets) {name, "histogram", help},
#define INFO(scope, id, name, help, ...) {name, "gauge", help},
#include "observe/metrics.def"
#undef GAUGE
#undef COUNTER
#undef COUNTER_BY
#undef HISTOGRAM
#undef INFO
  };
}

}  // namespace inferneo::observe
