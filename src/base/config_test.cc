#include "base/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace inferneo {
namespace {

using testing::HasSubstr;

Status set(Config& config, std::string_view name, std::string_view text) {
  const ConfigKey* key = find_config_key(name);
  EXPECT_NE(key, nullptr) << name;
  return set_config_value(config, *key, text);
}

TEST(config, every_default_is_accepted_by_its_own_key) {
  const Config defaults;
  for (const ConfigKey& key : config_keys()) {
    Config config;
    EXPECT_TRUE(set_config_value(config, key, key.initial).ok()) << key.name;
    EXPECT_EQ(config_value_text(config, key), config_value_text(defaults, key)) << key.name;
    EXPECT_FALSE(key.help.empty()) << key.name;
  }
}

TEST(config, values_are_set_by_kind) {
  Config config;
  ASSERT_TRUE(set(config, "port", "81").ok());
  ASSERT_TRUE(set(config, "prefix_cache", "off").ok());
  ASSERT_TRUE(set(config, "dtype", "f32").ok());
  ASSERT_TRUE(set(config, "models", "a=/x, /y").ok());
  EXPECT_EQ(config.port, 81);
  EXPECT_FALSE(config.prefix_cache);
  EXPECT_EQ(config.dtype, "f32");
  EXPECT_THAT(config.models, testing::ElementsAre("a=/x", "/y"));
}

TEST(config, a_value_out_of_range_names_key_value_and_range) {
  Config config;
  for (const char* text : {"65536", "-1", "80x", "", "1e3", "99999999999999999999"}) {
    const Status status = set(config, "port", text);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("port")) << text;
    EXPECT_THAT(status.message(), HasSubstr("0 .. 65535")) << text;
  }
  EXPECT_EQ(config.port, 8000);
  ASSERT_TRUE(set(config, "port", "65535").ok());
}

TEST(config, a_wrong_choice_gets_the_nearest_right_one) {
  Config config;
  const Status status = set(config, "dtype", "bf17");
  EXPECT_THAT(status.message(), HasSubstr("auto, f32 or bf16"));
  EXPECT_THAT(status.hint(), HasSubstr("bf16"));
}

TEST(config, a_wrong_key_gets_the_nearest_right_one) {
  EXPECT_EQ(find_config_key("kv_cache_mb"), nullptr);
  EXPECT_THAT(unknown_config_key("kv_cache_mb").hint(), HasSubstr("kv_cache_mib"));
}

TEST(config, a_list_for_a_single_value_is_refused) {
  Config config;
  EXPECT_FALSE(set_config_list(config, *find_config_key("host"), {"a", "b"}).ok());
  EXPECT_TRUE(set_config_list(config, *find_config_key("models"), {"a", "b"}).ok());
  EXPECT_EQ(config.models.size(), 2U);
}

}  // namespace
}  // namespace inferneo
