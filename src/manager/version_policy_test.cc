#include "manager/version_policy.h"

#include <gtest/gtest.h>

namespace inferneo::manager {
namespace {

TEST(compare_versions, numbers_compare_as_numbers) {
  EXPECT_LT(compare_versions("9", "10"), 0);
  EXPECT_LT(compare_versions("1.9", "1.10"), 0);
  EXPECT_GT(compare_versions("2024-11", "2024-2"), 0);
  EXPECT_LT(compare_versions("1", "1-rc"), 0);
  EXPECT_LT(compare_versions("a", "b"), 0);
  EXPECT_EQ(compare_versions("1.0", "1.0"), 0);
  EXPECT_NE(compare_versions("01", "1"), 0) << "different names stay different";
  EXPECT_LT(compare_versions("99999999999999999999998", "99999999999999999999999"), 0);
}

TEST(version_policy, is_read_and_written) {
  for (const char* text : {"all", "latest:1", "latest:12", "specific:1,3"}) {
    const auto policy = parse_version_policy(text);
    ASSERT_TRUE(policy.has_value()) << text;
    EXPECT_EQ(version_policy_text(*policy), text);
  }
  EXPECT_EQ(version_policy_text(*parse_version_policy("latest")), "latest:1");
  for (const char* text : {"", "last", "latest:", "latest:0", "latest:x", "specific:", "all:1"}) {
    const auto policy = parse_version_policy(text);
    ASSERT_FALSE(policy.has_value()) << text;
    EXPECT_EQ(policy.error().code(), StatusCode::kInvalidArgument);
    EXPECT_FALSE(policy.error().hint().empty());
  }
}

TEST(version_policy, serves_what_it_says) {
  const std::vector<std::string> versions{"1", "2", "10"};
  EXPECT_TRUE(policy_serves(*parse_version_policy("all"), versions, "1"));
  EXPECT_TRUE(policy_serves(*parse_version_policy("latest:2"), versions, "2"));
  EXPECT_FALSE(policy_serves(*parse_version_policy("latest:2"), versions, "1"));
  EXPECT_TRUE(policy_serves(*parse_version_policy("specific:1,10"), versions, "10"));
  EXPECT_FALSE(policy_serves(*parse_version_policy("specific:1,10"), versions, "2"));
}

}  // namespace
}  // namespace inferneo::manager
