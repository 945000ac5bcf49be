// links: inferneo_gateway_http
// A byte stream of pipelined requests through the request parser. The first byte chooses how the
// stream is cut into pieces. What is accepted must satisfy the framing rules, re-stated here
// without the parser's own code, and must be the same for every way of cutting.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "gateway/http/request_parser.h"
#include "gateway/http/target.h"

namespace inferneo::gateway::http {
namespace {

constexpr std::size_t kBodySizeMax = 512;

struct Outcome {
  std::vector<std::string> bodies;
  std::vector<std::string> paths;
  std::size_t consumed = 0;  // by complete requests

  // Why refusals are not compared: which of two faults is met first depends on the cut, and Beast
  // waits for the end of an open quote in a chunk extension that a larger piece already refuses.
  bool operator==(const Outcome&) const = default;
};

bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

void check_head(RequestParser& parser, std::string_view raw) {
  const RequestHead& head = parser.head();
  CHECK(!head.method.empty() && is_clean(head.method));
  CHECK(head.path.starts_with('/') && is_clean(head.path) && is_clean(head.query));
  CHECK(head.headers.size() <= limits::kHttpHeaderCountMax);
  CHECK(raw.size() <= limits::kHttpRequestLineSizeMax + limits::kHttpHeaderSizeMax + 8);
  // Every line feed of an accepted head follows a carriage return and the reverse.
  for (std::size_t i = 0; i < raw.size(); ++i) {
    CHECK(raw[i] != '\n' || (i > 0 && raw[i - 1] == '\r'));
    CHECK(raw[i] != '\r' || (i + 1 < raw.size() && raw[i + 1] == '\n'));
    CHECK(raw[i] != '\0');
  }
  CHECK(raw.find("\r\n ") == std::string_view::npos &&
        raw.find("\r\n\t") == std::string_view::npos);
  int lengths = 0;
  int codings = 0;
  int hosts = 0;
  for (const auto& [name, value] : head.headers) {
    CHECK(is_clean(name) && is_clean(value) && !name.empty());
    CHECK(name.find_first_of(" \t:") == std::string::npos);
    lengths += name == "content-length";
    codings += name == "transfer-encoding";
    hosts += name == "host";
  }
  CHECK(lengths + codings <= 1);
  CHECK(hosts <= 1 && (hosts == 1 || parser.is_http_1_0()));
  const Framing& framing = parser.framing();
  CHECK((codings == 1) == (framing.kind == Framing::Kind::kChunked));
  CHECK((lengths == 1) == (framing.kind == Framing::Kind::kLength));
  if (lengths == 1) {
    const std::string value(head.header("content-length"));
    CHECK(value.find_first_not_of("0123456789") == std::string::npos);
    CHECK(std::strtoull(value.c_str(), nullptr, 10) == framing.length);
  }
  parse_host(head.header("host"));
}

// One request from `bytes`, of which at most `step` more are seen at a time. False when the stream
// ended or the request was refused.
bool parse_one(std::string_view bytes, std::size_t step, std::size_t& received, Outcome& outcome) {
  RequestParser parser;
  std::size_t at = outcome.consumed;
  std::string body;
  bool has_head = false;
  for (;;) {
    std::size_t consumed = 0;
    const std::string_view unread = bytes.substr(at, received - at);
    const auto progress = has_head ? parser.parse_body(unread, kBodySizeMax, &body, consumed)
                                   : parser.parse_head(unread, consumed);
    CHECK(consumed <= unread.size());
    CHECK(body.size() <= kBodySizeMax);
    at += consumed;
    if (progress == RequestParser::Progress::kRefused) {
      const Refusal& refusal = parser.refusal();
      CHECK(refusal.status >= 400 && refusal.status < 600 && !refusal.message.empty());
      return false;
    }
    if (progress == RequestParser::Progress::kComplete) {
      if (!has_head) check_head(parser, bytes.substr(at - consumed, consumed));
      if (has_head || !parser.has_body()) break;
      has_head = true;
      continue;
    }
    if (received == bytes.size()) return false;
    received = std::min(bytes.size(), received + step);
  }
  const bool has_length = parser.framing().kind == Framing::Kind::kLength;
  CHECK(!has_length || body.size() == parser.framing().length);
  outcome.consumed = at;
  outcome.bodies.push_back(body);
  outcome.paths.push_back(parser.head().path);
  return true;
}

Outcome parse_all(std::string_view bytes, std::size_t step) {
  Outcome outcome;
  std::size_t received = std::min(bytes.size(), step);
  while (outcome.consumed < bytes.size() && parse_one(bytes, step, received, outcome)) {
  }
  return outcome;
}

}  // namespace
}  // namespace inferneo::gateway::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using inferneo::gateway::http::parse_all;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = parse_all(bytes, bytes.size());
  const auto pieces = parse_all(bytes, std::size_t{1} + data[0] % 32);
  CHECK(whole == pieces);
  return 0;
}
