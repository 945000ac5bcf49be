#include "gateway/endpoints/path_pattern.h"

#include <gtest/gtest.h>

namespace inferneo::gateway::endpoints {
namespace {

using Named = std::pair<std::string_view, std::string_view>;

TEST(path_pattern, literals_match_themselves_only) {
  EXPECT_TRUE(match_path("/v1/models", "/v1/models"));
  EXPECT_FALSE(match_path("/v1/models", "/v1/model"));
  EXPECT_FALSE(match_path("/v1/models", "/v1/models/"));
}

TEST(path_pattern, a_parameter_takes_slashes_and_is_never_empty) {
  EXPECT_EQ(match_path("/v1/models/{id}", "/v1/models/org/a")->front(), Named("id", "org/a"));
  EXPECT_FALSE(match_path("/v1/models/{id}", "/v1/models/"));
  EXPECT_FALSE(match_path("/v1/models/{id}", "/v1/models"));
  EXPECT_EQ(match_path("/v1/files/{id}/content", "/v1/files/a/content")->front(), Named("id", "a"));
  EXPECT_EQ(match_path("/v1/files/{id}/content", "/v1/files/content/content")->front(),
            Named("id", "content"));
  EXPECT_FALSE(match_path("/v1/files/{id}/content", "/v1/files//content"));
  EXPECT_FALSE(match_path("/v1/files/{id}/content", "/v1/files/a/contents"));
}

TEST(path_pattern, several_parameters_split_where_the_literals_are) {
  const auto found =
      match_path("/v2/models/{id}/versions/{version}/infer", "/v2/models/org/a/versions/2/infer");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0], Named("id", "org/a"));
  EXPECT_EQ((*found)[1], Named("version", "2"));
  // The first split that fits as a whole, not the first occurrence of the literal.
  const auto again = match_path("/{a}/x/{b}/y", "/1/x/2/x/3/y");
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)[0], Named("a", "1"));
  EXPECT_EQ((*again)[1], Named("b", "2/x/3"));
}

TEST(path_pattern, more_literal_text_is_more_specific) {
  EXPECT_GT(literal_size("/v1/files/{id}/content"), literal_size("/v1/files/{id}"));
  EXPECT_GT(literal_size("/v1/files/x"), literal_size("/v1/files/{id}"));
  EXPECT_EQ(literal_size("/a/{b}/c"), 5U);
}

}  // namespace
}  // namespace inferneo::gateway::endpoints
