#include "gateway/endpoints/exchange_subject.h"

#include <gtest/gtest.h>

#include <string>

namespace inferneo::gateway::endpoints {
namespace {

int request_count = 0;

http::Request request_of(std::string body, http::Headers headers = {}) {
  http::Request request;
  request.head.headers = std::move(headers);
  request.head.remote_address = "10.0.0.1";
  request.head.request_id = "r" + std::to_string(++request_count);
  request.body = std::move(body);
  return request;
}

routing::Subject of(const http::Request& request) { return ExchangeSubject(request).subject(); }
routing::Subject of(std::string body, http::Headers headers = {}) {
  return of(request_of(std::move(body), std::move(headers)));
}

TEST(ExchangeSubject, an_id_makes_all_requests_of_its_owner_one_subject) {
  const auto alice = of("", {{"x-session-id", "alice"}});
  EXPECT_EQ(of(R"({"messages":[]})", {{"x-session-id", "alice"}}), alice);
  EXPECT_EQ(of(R"({"prompt":"x","user":"alice"})"), alice);
  EXPECT_EQ(of(R"({"conversation":{"id":"alice"}})"), alice);
  EXPECT_EQ(of(R"({"conversation":"alice","user":"bob"})"), alice) << "narrower ids come first";
  EXPECT_EQ(of(R"({"metadata":{"user_id":"alice"}})"), alice);
  EXPECT_EQ(of(R"({"prompt_cache_key":"alice"})"), alice);
  EXPECT_NE(of(R"({"user":"bob"})"), alice);
}

TEST(ExchangeSubject, later_turns_of_a_conversation_keep_its_subject) {
  const auto first = of(R"({"messages":[{"role":"system","content":"s"},
                                        {"role":"user","content":"hello"}]})");
  EXPECT_EQ(of(R"({"temperature":1,"messages":[{"role":"system","content":"s"},
                   {"role":"user","content":"hello"},{"role":"assistant","content":"hi"},
                   {"role":"user","content":"and now?"}]})"),
            first);
  EXPECT_NE(of(R"({"messages":[{"role":"system","content":"t"},
                               {"role":"user","content":"hello"}]})"),
            first);
  EXPECT_NE(of(R"({"messages":[{"role":"user","content":"hello"}]})"), first);
  EXPECT_EQ(of(R"({"instructions":"i","input":"hello"})"),
            of(R"({"instructions":"i","input":[{"role":"user","content":"hello"},
                   {"role":"assistant","content":"hi"},{"role":"user","content":"x"}]})"));
}

TEST(ExchangeSubject, clients_with_equal_openings_are_different) {
  http::Request one = request_of(R"({"messages":[{"role":"user","content":"hello"}]})");
  http::Request other = one;
  other.head.remote_address = "10.0.0.2";
  EXPECT_NE(of(one), of(other));
}

TEST(ExchangeSubject, contents_of_parts_count_as_a_whole) {
  const char* with_image = R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},
                               {"type":"image_url","image_url":{"url":"x"}}]}]})";
  EXPECT_EQ(of(with_image), of(with_image));
  EXPECT_NE(of(with_image),
            of(R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]})"));
}

TEST(ExchangeSubject, what_is_no_conversation_stands_alone) {
  for (const char* body : {"",
                           "{",
                           "[]",
                           "{}",
                           R"({"prompt":"x"})",
                           R"({"user":""})",
                           R"({"messages":[]})",
                           R"({"messages":[{"role":"assistant"}]})",
                           R"({"messages":7})"}) {
    EXPECT_NE(of(body), of(body)) << body;
    const http::Request request = request_of(body);
    EXPECT_EQ(of(request), of(request)) << body;
  }
}

}  // namespace
}  // namespace inferneo::gateway::endpoints
