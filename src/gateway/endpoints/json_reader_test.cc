#include "gateway/endpoints/json_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"

namespace inferneo::gateway::endpoints {
namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

void expect_refused(const std::string& body, const std::string& part) {
  const auto result = parse_json_object(body);
  ASSERT_FALSE(result.has_value()) << body.substr(0, 80);
  EXPECT_EQ(result.error().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(result.error().message().find(part), std::string::npos) << result.error().message();
}

TEST(parse_json, keeps_types_and_order) {
  const auto object = parse_json_object(
      R"({"b":1,"a":-9223372036854775808,"c":1.5,"d":"\u00e9\n","e":true,"f":null,"g":[1,"x"]})");
  ASSERT_TRUE(object.has_value());
  ASSERT_EQ(object->size(), 7U);
  EXPECT_EQ((*object)[0].first, "b");
  EXPECT_EQ(*(*object)[0].second.as_int(), 1);
  EXPECT_EQ(*(*object)[1].second.as_int(), INT64_MIN);
  EXPECT_EQ(*(*object)[2].second.as_double(), 1.5);
  EXPECT_EQ(*(*object)[3].second.as_string(), "\xc3\xa9\n");
  EXPECT_TRUE(*(*object)[4].second.as_bool());
  EXPECT_TRUE((*object)[5].second.is_null());
  EXPECT_EQ((*object)[6].second.as_list()->size(), 2U);
}

TEST(parse_json, numbers_that_look_whole_but_are_not_stay_doubles) {
  for (const char* body : {R"({"a":5.0})", R"({"a":5e0})", R"({"a":9223372036854775808})"}) {
    const auto object = parse_json_object(body);
    ASSERT_TRUE(object.has_value()) << body;
    EXPECT_EQ((*object)[0].second.as_int(), nullptr) << body;
    EXPECT_NE((*object)[0].second.as_double(), nullptr) << body;
  }
}

TEST(parse_json, depth_is_bounded_exactly) {
  EXPECT_TRUE(parse_json(nested(limits::kJsonDepthMax)).has_value());
  const auto deeper = parse_json(nested(limits::kJsonDepthMax + 1));
  ASSERT_FALSE(deeper.has_value());
  EXPECT_NE(deeper.error().message().find("64 levels"), std::string::npos);
  expect_refused(R"({"messages":)" + std::string(100'000, '['), "");
}

TEST(parse_json, duplicate_names_are_refused_at_any_level) {
  expect_refused(R"({"a":1,"a":1})", "'a' appears twice");
  expect_refused(R"({"x":[{"b":{"c":1,"c":2}}]})", "'c' appears twice");
  expect_refused(R"({"a":1,"\u0061":2})", "'a' appears twice");
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(parse_json_object(many + "\"z\":0}").has_value());
  expect_refused(many + "\"k7\":0}", "'k7' appears twice");
}

TEST(parse_json, broken_documents_are_named) {
  expect_refused("", "empty");
  expect_refused("   ", "not valid JSON");
  expect_refused("{", "not valid JSON, line 1, column 2");
  expect_refused("{\"a\": 1,\n \"b\": tru}", "not valid JSON, line 2, column 10");
  expect_refused(R"({"a":})", "not valid JSON");
  expect_refused(R"({"a":1} x)", "not valid JSON");
  expect_refused(R"({"a":01})", "not valid JSON");
  expect_refused(R"({"a":NaN})", "not valid JSON");
  expect_refused(R"({'a':1})", "not valid JSON");
  expect_refused("{\"a\":\"\xff\xfe\"}", "UTF-8");
  expect_refused("{\"a\":\"line\nbreak\"}", "not valid JSON");
  expect_refused("[1,2]", "must be a JSON object");
  expect_refused("5", "must be a JSON object");
}

TEST(parse_json, lone_surrogates_do_not_become_invalid_text) {
  const auto object = parse_json_object(R"({"a":"\ud800"})");
  if (object.has_value()) {
    EXPECT_NE(*(*object)[0].second.as_string(), "\xed\xa0\x80");
  }
}

TEST(parse_json, number_of_values_is_bounded) {
  std::string body = "[1";
  body.reserve(2'100'000);
  for (int i = 0; i < 1'000'001; ++i) body += ",1";
  const auto result = parse_json(body + "]");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message().find("more than 1000000 values"), std::string::npos);
}

TEST(json_reader, names_the_member_whose_integer_no_type_holds) {
  for (const char* body :
       {R"({"seed":18446744073709551616})",
        R"({"a\"b":"1e999","seed":-9223372036854775809})",
        R"({"x":[1,"99999999999999999999"],"seed":[1,[2,100000000000000000000]]})"}) {
    const auto parsed = parse_json_object(body);
    ASSERT_FALSE(parsed.has_value()) << body;
    EXPECT_EQ(parsed.error().where(), "seed") << body;
    EXPECT_NE(parsed.error().message().find("beyond 64 bits"), std::string::npos);
  }
  for (const char* body : {R"({"seed":1-2})", R"({"seed":01})", R"({"seed":--})"}) {
    EXPECT_EQ(parse_json_object(body).error().where(), "") << body;
  }
}

}  // namespace
}  // namespace inferneo::gateway::endpoints
