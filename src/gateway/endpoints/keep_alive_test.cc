#include "gateway/endpoints/keep_alive.h"

#include <gtest/gtest.h>

#include "manager/served_model.h"

namespace inferneo::gateway::endpoints {
namespace {

using namespace std::chrono_literals;

TEST(keep_alive, numbers_are_seconds_and_texts_have_units) {
  EXPECT_EQ(*read_keep_alive(text::Value(300)), Duration(300s));
  EXPECT_EQ(*read_keep_alive(text::Value(0)), Duration(0s));
  EXPECT_EQ(*read_keep_alive(text::Value(0.5)), Duration(500ms));
  EXPECT_EQ(*read_keep_alive(text::Value("5m")), Duration(5min));
  EXPECT_EQ(*read_keep_alive(text::Value("1h30m")), Duration(90min));
  EXPECT_EQ(*read_keep_alive(text::Value("250ms")), Duration(250ms));
  EXPECT_EQ(*read_keep_alive(text::Value("90")), Duration(90s));
}

TEST(keep_alive, negative_and_endless_times_mean_forever) {
  EXPECT_EQ(*read_keep_alive(text::Value(-1)), manager::kKeepForever);
  EXPECT_EQ(*read_keep_alive(text::Value("-1m")), manager::kKeepForever);
  EXPECT_EQ(*read_keep_alive(text::Value(1e300)), manager::kKeepForever);
  EXPECT_EQ(*read_keep_alive(text::Value("99999999h")), manager::kKeepForever);
}

TEST(keep_alive, anything_else_is_refused_with_what_is_expected) {
  for (const char* text : {"", "-", "5x", "m", "nan", "inf", "1e999", "--1"}) {
    const auto result = read_keep_alive(text::Value(text));
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_EQ(result.error().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(result.error().message().find("seconds"), std::string::npos);
  }
  EXPECT_FALSE(read_keep_alive(text::Value(true)).has_value());
}

}  // namespace
}  // namespace inferneo::gateway::endpoints
