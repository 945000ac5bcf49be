#include "gateway/http/head_scanner.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace inferneo::gateway::http {
namespace {

using Progress = HeadScanner::Progress;

// Feeds `bytes` in pieces of `step`.
Progress scan(HeadScanner& scanner, std::string_view bytes, std::size_t step) {
  for (std::size_t end = step; end < bytes.size(); end += step) {
    const Progress progress = scanner.scan(bytes.substr(0, end));
    if (progress != Progress::kMore) return progress;
  }
  return scanner.scan(bytes);
}

TEST(HeadScanner, pieces_of_any_size_give_the_same_answer) {
  const std::string head = "\r\nPOST /x HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nbody";
  for (std::size_t step = 1; step <= head.size(); ++step) {
    HeadScanner scanner;
    ASSERT_EQ(scan(scanner, head, step), Progress::kComplete) << step;
    EXPECT_EQ(scanner.begin(), 2U);
    EXPECT_EQ(scanner.end(), head.size() - 4);
  }
}

TEST(HeadScanner, refusal_comes_with_the_byte_that_causes_it) {
  HeadScanner scanner;
  EXPECT_EQ(scanner.scan("GET / HTTP/1.1"), Progress::kMore);
  EXPECT_EQ(scanner.scan("GET / HTTP/1.1\n"), Progress::kRefused);
  EXPECT_EQ(scanner.refusal().status, 400);
}

TEST(HeadScanner, limits_hold_for_lines_that_never_end) {
  HeadScanner line;
  EXPECT_EQ(line.scan("GET /" + std::string(limits::kHttpRequestLineSizeMax, 'a')),
            Progress::kRefused);
  EXPECT_EQ(line.refusal().status, 414);
  HeadScanner field;
  EXPECT_EQ(field.scan("GET / HTTP/1.1\r\nX: " + std::string(limits::kHttpHeaderSizeMax, 'a')),
            Progress::kRefused);
  EXPECT_EQ(field.refusal().status, 431);
}

TEST(HeadScanner, every_control_byte_is_refused_in_a_value) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    HeadScanner scanner;
    const std::string head = std::string("GET / HTTP/1.1\r\nX: a") + c + "b\r\n\r\n";
    const bool is_allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    EXPECT_EQ(scanner.scan(head), is_allowed ? Progress::kComplete : Progress::kRefused) << byte;
  }
}

TEST(HeadScanner, only_token_bytes_are_accepted_in_a_name) {
  const std::string_view punctuation = "!#$%&'*+-.^_`|~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    HeadScanner scanner;
    const std::string head = std::string("GET / HTTP/1.1\r\na") + c + "b: x\r\n\r\n";
    const bool is_token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') || c == ':' ||
                          (byte != 0 && punctuation.find(c) != std::string_view::npos);
    EXPECT_EQ(scanner.scan(head), is_token ? Progress::kComplete : Progress::kRefused) << byte;
  }
}

TEST(DecideFraming, length_and_chunks) {
  Framing framing;
  EXPECT_FALSE(decide_framing({}, false, framing));
  EXPECT_EQ(framing.kind, Framing::Kind::kNone);
  EXPECT_FALSE(decide_framing({{"content-length", "12"}}, false, framing));
  EXPECT_EQ(framing.kind, Framing::Kind::kLength);
  EXPECT_EQ(framing.length, 12U);
  EXPECT_FALSE(decide_framing({{"transfer-encoding", "CHUNKED"}}, false, framing));
  EXPECT_EQ(framing.kind, Framing::Kind::kChunked);
}

TEST(DecideFraming, anything_ambiguous_is_refused) {
  Framing framing;
  for (const char* length : {"", "+1", "-1", "0x1", "1,1", "1 1", "1.0", "one", " 1"}) {
    EXPECT_EQ(decide_framing({{"content-length", length}}, false, framing).status, 400) << length;
  }
  EXPECT_EQ(decide_framing({{"content-length", std::string(19, '9')}}, false, framing).status, 413);
  const Headers both = {{"content-length", "1"}, {"transfer-encoding", "chunked"}};
  EXPECT_EQ(decide_framing(both, false, framing).status, 400);
  const Headers twice = {{"content-length", "1"}, {"content-length", "1"}};
  EXPECT_EQ(decide_framing(twice, false, framing).status, 400);
  EXPECT_EQ(decide_framing({{"transfer-encoding", "chunked"}}, true, framing).status, 400);
  EXPECT_EQ(decide_framing({{"transfer-encoding", "gzip, chunked"}}, false, framing).status, 501);
}

}  // namespace
}  // namespace inferneo::gateway::http
