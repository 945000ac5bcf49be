#include "base/status.h"

#include <gtest/gtest.h>

#include "base/result.h"
#include "base/str.h"
#include "base/utf8.h"

namespace inferneo {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return invalid_argument(str(value, " is odd"));
  return value / 2;
}

Result<int> quarter(int value) {
  ASSIGN_OR_RETURN(const int first, half(value));
  return half(first);
}

TEST(Status, success_is_one_pointer_wide) { EXPECT_EQ(sizeof(Status), sizeof(void*)); }

TEST(Result, failure_travels_up) {
  EXPECT_EQ(*quarter(8), 2);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().to_string(), "invalid_argument: 3 is odd");
}

TEST(Str, nearest_name_finds_typing_errors_only) {
  const std::string_view names[] = {"temperature", "top_p", "stream"};
  EXPECT_EQ(nearest_name("temprature", names), "temperature");
  EXPECT_EQ(nearest_name("banana", names), "");
  const std::vector<std::string_view> flags = {"--help", "--temperature", "--tempo-of-all"};
  EXPECT_EQ(nearest_name("--temp", flags), "--temperature");
  EXPECT_EQ(nearest_name("--hel", flags), "--help");
}

TEST(Utf8, decode_replaces_maximal_subparts) {
  EXPECT_EQ(utf8::sanitize("a\xE2\x82z\xFF"), "a\xEF\xBF\xBDz\xEF\xBF\xBD");
  EXPECT_TRUE(utf8::is_valid("\xF0\x9F\x98\x80"));
  EXPECT_FALSE(utf8::is_valid("\xED\xA0\x80"));
  EXPECT_EQ(utf8::complete_prefix_size("ab\xF0\x9F\x98"), 2U);
  EXPECT_EQ(utf8::complete_prefix_size("ab\xF0\x9F\x98\x80"), 6U);
  EXPECT_EQ(utf8::complete_prefix_size("ab\x80"), 3U);
}

}  // namespace
}  // namespace inferneo
