#include "app/config_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace inferneo::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A file in the test's temporary folder, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_(testing::TempDir() + "/config_sources_test_" + std::to_string(::getpid()) + ".yaml") {
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

FlagValue flag(std::string_view name, std::vector<std::string> values) {
  return {find_config_key(name), std::move(values)};
}

TEST(config_sources, flags_win_over_environment_over_file_over_defaults) {
  const TemporaryFile file("port: 1\nthreads: 1\nio_threads: 3\n");
  ConfigSources sources;
  sources.file = file.path();
  sources.environment = {"INFERNEO_PORT=2", "INFERNEO_THREADS=2", "HOME=/root"};
  sources.flags = {flag("port", {"3"})};
  const Result<Config> config = read_config(sources);
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  EXPECT_EQ(config->port, 3);
  EXPECT_EQ(config->threads, 2);
  EXPECT_EQ(config->io_threads, 3);
  EXPECT_EQ(config->front_threads, Config().front_threads);
}

TEST(config_sources, the_file_may_come_from_the_environment) {
  const TemporaryFile file("port: 81\n");
  const std::string entry = "INFERNEO_CONFIG=" + file.path();
  ConfigSources sources;
  sources.environment = {entry};
  EXPECT_EQ(read_config(sources).value().port, 81);
}

TEST(config_sources, a_missing_file_is_named) {
  ConfigSources sources;
  sources.file = "/nonexistent/inferneo.yaml";
  const Result<Config> config = read_config(sources);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().code(), StatusCode::kNotFound);
  EXPECT_THAT(config.error().to_string(), HasSubstr("/nonexistent/inferneo.yaml"));
}

TEST(config_sources, lists_in_yaml_are_sequences_maps_or_one_text) {
  Config config;
  ASSERT_TRUE(apply_yaml(config, "models: [/a, b=/c]", "f").ok());
  EXPECT_THAT(config.models, ElementsAre("/a", "b=/c"));
  ASSERT_TRUE(apply_yaml(config, "models:\n  x: /y\n", "f").ok());
  EXPECT_THAT(config.models, ElementsAre("x=/y"));
  ASSERT_TRUE(apply_yaml(config, "models: /with,comma", "f").ok());
  EXPECT_THAT(config.models, ElementsAre("/with,comma"));
}

struct BadYaml {
  const char* text;
  const char* where;
  const char* message;
  const char* hint;
};

TEST(config_sources, wrong_yaml_names_file_line_and_what_to_do) {
  const BadYaml cases[] = {
      {"port: 80\nprot: 81\n", "f.yaml:2", "prot", "port"},
      {"host: x\n\nport: many\n", "f.yaml:3", "0 .. 65535", ""},
      {"port: 80\nport: 81\n", "f.yaml:2", "twice", ""},
      {"port: [80]\n", "f.yaml:1", "one value", ""},
      {"port:\n", "f.yaml:1", "one value", ""},
      {"dtype: f16\n", "f.yaml:1", "auto, f32 or bf16", ""},
      {"models: [[a]]\n", "f.yaml:1", "item", ""},
      {"- a\n- b\n", "f.yaml:1", "map", ""},
      {"port: {a\n", "f.yaml:", "YAML", ""},
      {"? [a]\n: b\n", "f.yaml:1", "name", ""},
  };
  for (const BadYaml& c : cases) {
    Config config;
    const Status status = apply_yaml(config, c.text, "f.yaml");
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(status.where(), HasSubstr(c.where)) << c.text;
    EXPECT_THAT(status.message(), HasSubstr(c.message)) << c.text;
    EXPECT_THAT(status.hint(), HasSubstr(c.hint)) << c.text;
  }
}

TEST(config_sources, an_empty_file_changes_nothing) {
  Config config;
  EXPECT_TRUE(apply_yaml(config, "", "f").ok());
  EXPECT_TRUE(apply_yaml(config, "# nothing\n", "f").ok());
}

TEST(config_sources, deep_yaml_is_refused_and_not_fatal) {
  Config config;
  const std::string deep(100'000, '[');
  EXPECT_FALSE(apply_yaml(config, "models: " + deep, "f").ok());
}

TEST(config_sources, wrong_variables_are_named) {
  ConfigSources sources;
  sources.environment = {"INFERNEO_PROT=80"};
  Result<Config> config = read_config(sources);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().where(), "INFERNEO_PROT");
  EXPECT_THAT(config.error().hint(), HasSubstr("port"));

  sources.environment = {"INFERNEO_PORT=http"};
  config = read_config(sources);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().where(), "INFERNEO_PORT");
}

TEST(config_sources, wrong_flag_values_are_named) {
  ConfigSources sources;
  sources.flags = {flag("kv_cache_mib", {"2GB"})};
  const Result<Config> config = read_config(sources);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().where(), "--kv-cache-mib");
}

TEST(config_sources, names_are_made_from_keys) {
  EXPECT_EQ(flag_name("kv_cache_mib"), "--kv-cache-mib");
  EXPECT_EQ(variable_name("kv_cache_mib"), "INFERNEO_KV_CACHE_MIB");
}

}  // namespace
}  // namespace inferneo::app
