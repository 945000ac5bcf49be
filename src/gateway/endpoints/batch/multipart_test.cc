#include "gateway/endpoints/batch/multipart.h"

#include <gtest/gtest.h>

namespace inferneo::gateway::endpoints::batch {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=XX";

std::string form(const std::string& content) {
  return "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
         "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".jsonl\"\r\n"
         "Content-Type: application/jsonl\r\n\r\n" +
         content + "\r\n--XX--\r\n";
}

TEST(multipart, fields_and_files_are_told_apart) {
  for (const std::string content : {"", "x", "{}\n{}\n", "\r\n", "--X", "\r\n--X", "a\r\n\r\nb"}) {
    const std::string body = form(content);
    const auto parts = parse_form(kType, body);
    ASSERT_TRUE(parts.has_value()) << parts.error().to_string();
    ASSERT_EQ(parts->size(), 2U);
    EXPECT_EQ((*parts)[0].name, "purpose");
    EXPECT_EQ((*parts)[0].filename, "");
    EXPECT_EQ((*parts)[0].content, "batch");
    EXPECT_EQ((*parts)[1].name, "file");
    EXPECT_EQ((*parts)[1].filename, "a \"b\".jsonl");
    EXPECT_EQ((*parts)[1].content, content);
  }
}

TEST(multipart, boundaries_may_be_quoted_and_text_may_come_before_and_after) {
  const std::string body = "hello\r\n" + form("x") + "bye";
  EXPECT_TRUE(parse_form("Multipart/Form-Data; Boundary=\"XX\"; charset=utf-8", body).has_value());
}

TEST(multipart, what_is_broken_is_said) {
  const std::string good = form("x");
  EXPECT_FALSE(parse_form("multipart/form-data", good).has_value());
  EXPECT_FALSE(parse_form("multipart/form-data; boundary=", good).has_value());
  EXPECT_FALSE(parse_form("multipart/form-data; boundary=YY", good).has_value());
  EXPECT_FALSE(parse_form(kType, "").has_value());
  EXPECT_FALSE(parse_form(kType, "--XX\r\n\r\nno name\r\n--XX--").has_value());
  // Every prefix is refused or read, never more.
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto parts = parse_form(kType, std::string_view(good).substr(0, size));
    if (parts.has_value()) {
      EXPECT_EQ(parts->size(), 2U) << size;
    }
  }
  std::string many;
  for (int i = 0; i < 20; ++i) {
    many += "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n";
  }
  EXPECT_FALSE(parse_form(kType, many + "--XX--").has_value());
}

}  // namespace
}  // namespace inferneo::gateway::endpoints::batch
