#include "app/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace inferneo::app {
namespace {

using testing::HasSubstr;

TEST(json_lines, members_keep_their_order) {
  const Json json =
      parse_json(R"({"z":1,"a":[true,null,2.5,"x"],"big":18446744073709551615})").value();
  const text::Value value = to_value(json);
  ASSERT_NE(value.as_dict(), nullptr);
  EXPECT_EQ((*value.as_dict())[0].first, "z");
  EXPECT_EQ(*value.find("z")->as_int(), 1);
  EXPECT_TRUE(*(*value.find("a")->as_list())[0].as_bool());
  EXPECT_TRUE((*value.find("a")->as_list())[1].is_null());
  EXPECT_NE(value.find("big")->as_double(), nullptr);
}

TEST(json_lines, wrong_json_is_a_failure_with_its_place) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1}x", "\"\xff\"", "nul"}) {
    const Result<Json> json = parse_json(text);
    ASSERT_FALSE(json.has_value()) << text;
    EXPECT_THAT(json.error().message(), HasSubstr("column")) << text;
  }
}

TEST(json_lines, depth_is_bounded_but_brackets_in_strings_do_not_count) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).has_value());
  EXPECT_FALSE(parse_json(std::string(65, '[') + std::string(65, ']')).has_value());
  EXPECT_FALSE(parse_json(std::string(8'000'000, '[')).has_value());
  EXPECT_TRUE(parse_json("\"" + std::string(1000, '[') + "\\\"[\"").has_value());
}

TEST(json_lines, a_bad_line_is_answered_in_place_and_the_rest_goes_on) {
  std::istringstream in("1\n\nx\n2\r\n");
  testing::internal::CaptureStdout();
  const bool ok = answer_lines(in, [](const std::string& line) { return parse_json(line); });
  const std::string out = testing::internal::GetCapturedStdout();
  EXPECT_FALSE(ok);
  EXPECT_THAT(out, testing::StartsWith("1\n{\"error\":\"not valid JSON"));
  EXPECT_THAT(out, HasSubstr("\"line\":3}\n2\n"));
}

TEST(json_lines, invalid_utf8_is_replaced_in_output) {
  EXPECT_EQ(dump(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace inferneo::app
