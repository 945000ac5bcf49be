#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/utf8.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::http {
namespace {

// Strict: throws on anything that is not valid JSON in UTF-8.
nlohmann::json parse(const std::string& body) { return nlohmann::json::parse(body); }

TEST(Error, every_code_has_a_status_and_the_four_members) {
  for (int i = 1; i <= static_cast<int>(StatusCode::kInternal); ++i) {
    const auto code = static_cast<StatusCode>(i);
    const Response response = error_response(Status(code, "message"));
    EXPECT_GE(response.status, 400);
    EXPECT_EQ(response.status, http_status(code));
    const auto document = parse(response.body);
    const auto& error = document["error"];
    EXPECT_EQ(error.size(), 4U);
    EXPECT_TRUE(error["message"].is_string());
    EXPECT_TRUE(error["type"].is_string());
    EXPECT_TRUE(error.contains("param"));
    EXPECT_TRUE(error.contains("code"));
  }
}

TEST(Error, where_becomes_param_and_the_hint_is_told) {
  const std::string expected =
      R"j({"error":{"message":"n is 0 (use 1 to 16)","type":"invalid_request_error",)j"
      R"("param":"n","code":null}})";
  EXPECT_EQ(error_json(invalid_argument("n is 0").with_where("n").with_hint("use 1 to 16")),
            expected);
}

TEST(Error, unknown_model_has_its_code) {
  const std::string expected = R"({"error":{"message":"no model named x","type":"not_found_error",)"
                               R"("param":"model","code":"model_not_found"}})";
  EXPECT_EQ(error_json(not_found("no model named x").with_where("model")), expected);
}

TEST(Error, fields_of_http_choose_the_status) {
  const Response method =
      error_response(unsupported("no").with_where("method").with_hint("GET, POST"));
  EXPECT_EQ(method.status, 405);
  ASSERT_EQ(method.headers.size(), 1U);
  EXPECT_EQ(method.headers[0], (std::pair<std::string, std::string>("Allow", "GET, POST")));
  EXPECT_EQ(error_response(unsupported("no").with_where("content-type")).status, 415);
  EXPECT_EQ(error_response(resource_exhausted("no").with_where("body")).status, 413);
  EXPECT_EQ(error_response(resource_exhausted("no").with_where("quota")).status, 429);
  EXPECT_EQ(error_response(resource_exhausted("no")).status, 503);
}

TEST(Error, internal_details_stay_inside) {
  for (const Status& status : {internal_error("bad pointer 0x7ffd in /usr/lib/x.so"),
                               corrupt_data("/home/me/model.safetensors").with_where("/etc")}) {
    const Response response = error_response(status);
    EXPECT_EQ(response.status, 500);
    for (const char* leak : {"0x7ffd", "/usr", "/home", "/etc"}) {
      EXPECT_EQ(response.body.find(leak), std::string::npos) << response.body;
    }
  }
}

TEST(Error, bodies_are_bounded_and_valid_utf8) {
  const std::string hostile[] = {std::string(100'000, 'a'),
                                 std::string(100'000, '\x01'),
                                 std::string(100'000, '\xff'),
                                 std::string(100'000, '"'),
                                 "x" + std::string(50'000, '\xe2')};
  for (const std::string& text : hostile) {
    for (const std::string& body :
         {error_json(invalid_argument(text).with_where(text).with_hint(text)),
          http_error(400, text).body}) {
      EXPECT_LE(body.size(), limits::kErrorBodySizeMax);
      EXPECT_TRUE(utf8::is_valid(body));
      parse(body);
    }
  }
  std::string snowmen;
  for (int i = 0; i < 2000; ++i) snowmen += "\xe2\x98\x83";
  EXPECT_TRUE(utf8::is_valid(error_json(invalid_argument(snowmen))));
}

}  // namespace
}  // namespace inferneo::gateway::http
