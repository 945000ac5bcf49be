#include "observe/metrics.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "base/str.h"

namespace inferneo::observe {
namespace {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct Family {
  std::string kind;
  std::string help;
  std::vector<Sample> samples;
};

// A strict reader of the text format: throws on anything that the specification does not allow.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {
    while (at_ < text_.size()) line();
  }
  std::map<std::string, Family> families;

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(what + " at byte " + std::to_string(at_));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void expect(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) fail(str("expected '", token, "'"));
    at_ += token.size();
  }
  std::string name(bool colon) {
    std::string out;
    while (std::isalnum(static_cast<unsigned char>(peek())) || peek() == '_' ||
           (colon && peek() == ':')) {
      out += text_[at_++];
    }
    if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0]))) fail("not a name");
    return out;
  }
  std::string rest() {
    const std::size_t end = text_.find('\n', at_);
    if (end == std::string_view::npos) fail("line without end");
    std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }
  void line() {
    if (peek() == '#') {
      expect("# ");
      if (peek() == 'H') {
        expect("HELP ");
        current_ = name(true);
        expect(" ");
        if (!families.try_emplace(current_, Family{{}, rest(), {}}).second) fail("family twice");
      } else {
        expect("TYPE ");
        if (name(true) != current_) fail("TYPE of another family");
        expect(" ");
        families[current_].kind = rest();
      }
      return;
    }
    sample();
  }
  void sample() {
    Sample out;
    out.name = name(true);
    if (peek() == '{') {
      ++at_;
      do {
        const std::string label = name(false);
        expect("=\"");
        std::string value;
        while (peek() != '"') {
          if (peek() == '\n' || peek() == '\0') fail("label without end");
          if (peek() == '\\') {
            ++at_;
            if (peek() != '\\' && peek() != '"' && peek() != 'n') fail("unknown escape");
            value += peek() == 'n' ? '\n' : peek();
          } else {
            value += peek();
          }
          ++at_;
        }
        ++at_;
        if (!out.labels.emplace(label, value).second) fail("label twice");
      } while (peek() == ',' && ++at_ != 0);
      expect("}");
    }
    expect(" ");
    const std::string number = rest();
    char* end = nullptr;
    out.value = number == "+Inf" ? INFINITY : std::strtod(number.c_str(), &end);
    if (end != nullptr && *end != '\0') fail("not a number: " + number);
    if (out.name.rfind(current_, 0) != 0) fail("sample outside its family: " + out.name);
    families[current_].samples.push_back(std::move(out));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string current_;
};

std::optional<double> find(const Reader& reader,
                           const std::string& family,
                           const std::string& sample,
                           std::map<std::string, std::string> labels) {
  const auto it = reader.families.find(family);
  if (it == reader.families.end()) return std::nullopt;
  for (const Sample& s : it->second.samples) {
    if (s.name == sample && s.labels == labels) return s.value;
  }
  return std::nullopt;
}

TEST(exposition, shows_every_row_of_the_table_for_every_model) {
  const ServerMetrics server;
  const ModelMetrics a;
  const ModelMetrics b;
  const std::vector<NamedModelMetrics> models{{"a", &a}, {"b", &b}};
  const Reader reader(exposition(server, models));
  const std::vector<MetricRow> rows = metric_rows();
  EXPECT_EQ(reader.families.size(), rows.size());
  for (const MetricRow& row : rows) {
    SCOPED_TRACE(row.name);
    const auto it = reader.families.find(std::string(row.name));
    ASSERT_NE(it, reader.families.end());
    EXPECT_EQ(it->second.kind, row.kind);
    EXPECT_EQ(it->second.help, row.help);
    EXPECT_FALSE(row.help.empty());
    ASSERT_FALSE(it->second.samples.empty());
    std::set<std::string> names;
    bool server_scope = false;
    for (const Sample& sample : it->second.samples) {
      const auto label = sample.labels.find("model_name");
      if (label == sample.labels.end()) {
        server_scope = true;
      } else {
        names.insert(label->second);
        EXPECT_EQ(sample.labels.at("engine"), "0");
      }
    }
    EXPECT_EQ(names.size(), server_scope ? 0U : 2U);
    EXPECT_EQ(row.kind == "counter", row.name.ends_with("_total") && row.kind != "histogram");
  }
}

TEST(exposition, writes_values_and_labelled_rows) {
  ServerMetrics server;
  ModelMetrics model;
  model.kv_cache_usage.set(0.25);
  model.prompt_tokens.add(7);
  using Success = ModelMetrics::request_success_label;
  model.request_success[static_cast<std::size_t>(Success::length)].add(3);
  using Cache = ModelMetrics::cache_config_label;
  model.cache_config[static_cast<std::size_t>(Cache::block_size)].set(16);
  model.cache_config[static_cast<std::size_t>(Cache::num_gpu_blocks)].set(1234);
  using Class = ServerMetrics::responses_label;
  server.responses[static_cast<std::size_t>(Class::s4xx)].add(2);
  server.connections.set(5);
  const std::vector<NamedModelMetrics> models{{"m", &model}};
  const Reader reader(exposition(server, models));

  const std::map<std::string, std::string> scope{{"engine", "0"}, {"model_name", "m"}};
  EXPECT_EQ(find(reader, "vllm:kv_cache_usage_perc", "vllm:kv_cache_usage_perc", scope), 0.25);
  EXPECT_EQ(find(reader, "vllm:prompt_tokens_total", "vllm:prompt_tokens_total", scope), 7);
  auto labels = scope;
  labels["finished_reason"] = "length";
  EXPECT_EQ(find(reader, "vllm:request_success_total", "vllm:request_success_total", labels), 3);
  labels = scope;
  labels["block_size"] = "16";
  labels["num_gpu_blocks"] = "1234";
  EXPECT_EQ(find(reader, "vllm:cache_config_info", "vllm:cache_config_info", labels), 1);
  EXPECT_EQ(find(reader,
                 "inferneo_http_responses_total",
                 "inferneo_http_responses_total",
                 {{"status", "4xx"}}),
            2);
  EXPECT_EQ(find(reader, "inferneo_http_connections", "inferneo_http_connections", {}), 5);
}

TEST(exposition, histogram_buckets_are_cumulative_and_end_with_the_count) {
  ServerMetrics server;
  ModelMetrics model;
  model.time_to_first_token.observe(0.0005);
  model.time_to_first_token.observe(0.001);  // on a bound: belongs to it
  model.time_to_first_token.observe(0.3);
  model.time_to_first_token.observe(1e9);
  const std::vector<NamedModelMetrics> models{{"m", &model}};
  const Reader reader(exposition(server, models));
  const std::string name = "vllm:time_to_first_token_seconds";
  const std::map<std::string, std::string> scope{{"engine", "0"}, {"model_name", "m"}};
  const auto bucket = [&](const std::string& bound) {
    auto labels = scope;
    labels["le"] = bound;
    return find(reader, name, name + "_bucket", labels);
  };
  EXPECT_EQ(bucket("0.001"), 2);
  EXPECT_EQ(bucket("0.25"), 2);
  EXPECT_EQ(bucket("0.5"), 3);
  EXPECT_EQ(bucket("2560"), 3);
  EXPECT_EQ(bucket("+Inf"), 4);
  EXPECT_EQ(find(reader, name, name + "_count", scope), 4);
  EXPECT_DOUBLE_EQ(find(reader, name, name + "_sum", scope).value_or(0), 1e9 + 0.3015);
}

TEST(exposition, escapes_model_names) {
  const ServerMetrics server;
  const ModelMetrics model;
  const std::string name = "a\\b\"c\nd} 1 {";
  const std::vector<NamedModelMetrics> models{{name, &model}};
  const Reader reader(exposition(server, models));
  EXPECT_EQ(find(reader,
                 "inferneo_steps_total",
                 "inferneo_steps_total",
                 {{"engine", "0"}, {"model_name", name}}),
            0);
}

TEST(exposition, without_models_shows_the_server) {
  const ServerMetrics server;
  const Reader reader(exposition(server, {}));
  EXPECT_EQ(reader.families.size(), metric_rows().size());
  EXPECT_EQ(find(reader, "inferneo_http_connections", "inferneo_http_connections", {}), 0);
}

TEST(metric_rows, names_are_unique) {
  std::set<std::string_view> names;
  for (const MetricRow& row : metric_rows()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

}  // namespace
}  // namespace inferneo::observe
