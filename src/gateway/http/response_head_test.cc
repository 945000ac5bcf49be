#include "gateway/http/response_head.h"

#include <gtest/gtest.h>

#include <set>

namespace inferneo::gateway::http {
namespace {

TEST(ResponseHead, of_a_plain_answer) {
  Response response;
  response.content_type = "text/plain";
  ResponseFraming framing;
  framing.content_length = 7;
  const std::string head = render_response_head(response, framing, "id-1");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << head;
  EXPECT_TRUE(head.ends_with(
      " GMT\r\nx-request-id: id-1\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n"))
      << head;
}

TEST(ResponseHead, a_handler_cannot_split_it) {
  Response response;
  response.content_type = "text/plain\r\nEvil: 1";
  response.headers = {
      {"a", "b\nEvil: 2"}, {"Evil\r\n: 3", "x"}, {"content-length", "5"}, {"x-fine", "yes"}};
  ResponseFraming framing;
  framing.content_length = 0;
  const std::string head = render_response_head(response, framing, "id");
  EXPECT_EQ(head.find("Evil"), std::string::npos);
  EXPECT_EQ(head.find("Content-Length: 5"), std::string::npos);
  EXPECT_NE(head.find("x-fine: yes\r\n"), std::string::npos);
}

TEST(ResponseHead, retry_after_comes_with_429_and_503) {
  for (const int status : {429, 503}) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
      Response response;
      response.status = status;
      const std::string head = render_response_head(response, {}, "id");
      const std::string_view name = "\r\nRetry-After: ";
      const std::size_t at = head.find(name);
      ASSERT_NE(at, std::string::npos);
      const std::string value = head.substr(at + name.size(), 3);
      ASSERT_TRUE(value[0] >= '1' && value[0] <= '9' && value.ends_with("\r\n")) << value;
      seen.insert(value);
    }
    EXPECT_GT(seen.size(), 1U) << "clients that obey must not come back together";
  }
  Response own;
  own.status = 503;
  own.headers = {{"retry-after", "30"}};
  EXPECT_EQ(render_response_head(own, {}, "id").find("Retry-After"), std::string::npos);
}

TEST(ResponseHead, request_ids) {
  EXPECT_TRUE(is_valid_request_id("a.B_c-9"));
  EXPECT_TRUE(is_valid_request_id(std::string(128, 'a')));
  for (const std::string& id : {std::string(),
                                std::string(129, 'a'),
                                std::string("a b"),
                                std::string("a\r\nb"),
                                std::string("\xc3\xa9")}) {
    EXPECT_FALSE(is_valid_request_id(id));
  }
  EXPECT_TRUE(is_valid_request_id(make_request_id()));
  EXPECT_NE(make_request_id(), make_request_id());
}

}  // namespace
}  // namespace inferneo::gateway::http
