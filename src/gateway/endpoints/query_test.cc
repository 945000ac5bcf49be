#include "gateway/endpoints/query.h"

#include <gtest/gtest.h>

namespace inferneo::gateway::endpoints {
namespace {

TEST(Query, names_come_in_their_order) {
  EXPECT_EQ(query_names("a=1&&b&c%20d=2&"), (std::vector<std::string>{"a", "b", "c d"}));
  EXPECT_TRUE(query_names("").empty());
}

TEST(query, values_are_found_and_decoded) {
  constexpr std::string_view kQuery = "a=1&b=x%20y+z&c&d=%zz%4&a=2&%65=f";
  EXPECT_EQ(query_value(kQuery, "a"), "1");
  EXPECT_EQ(query_value(kQuery, "b"), "x y z");
  EXPECT_EQ(query_value(kQuery, "c"), "");
  EXPECT_EQ(query_value(kQuery, "d"), "%zz%4");
  EXPECT_EQ(query_value(kQuery, "e"), "f");
  EXPECT_EQ(query_value(kQuery, "g"), std::nullopt);
  EXPECT_EQ(query_value("", "a"), std::nullopt);
}

TEST(query, integers_are_checked) {
  EXPECT_EQ(query_integer("limit=5", "limit", 1, 10, 7).value(), 5);
  EXPECT_EQ(query_integer("", "limit", 1, 10, 7).value(), 7);
  for (const char* bad : {"limit=0", "limit=11", "limit=", "limit=x", "limit=5x"}) {
    const auto found = query_integer(bad, "limit", 1, 10, 7);
    ASSERT_FALSE(found.has_value()) << bad;
    EXPECT_EQ(found.error().where(), "limit");
  }
}

}  // namespace
}  // namespace inferneo::gateway::endpoints
