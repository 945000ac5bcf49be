#include "gateway/http/head_scanner.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/http/text.h"

namespace inferneo::gateway::http {
namespace {

constexpr char kTlsHandshake = 0x16;
constexpr std::size_t kMethodSizeMax = 32;

bool is_forbidden_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

Refusal bad_request(std::string message) { return {400, std::move(message)}; }

}  // namespace

HeadScanner::Progress HeadScanner::scan(std::string_view bytes) {
  while (at_ < bytes.size()) {
    const Progress progress = take_byte(bytes);
    if (progress != Progress::kMore) return progress;
  }
  return check_size();
}

HeadScanner::Progress HeadScanner::refuse(int status, std::string message) {
  refusal_ = {status, std::move(message)};
  return Progress::kRefused;
}

HeadScanner::Progress HeadScanner::take_byte(std::string_view bytes) {
  const char c = bytes[at_];
  if (after_cr_) {
    if (c != '\n')
      return refuse(400, "a carriage return in the head is not followed by a line feed");
    after_cr_ = false;
    const std::string_view line = bytes.substr(line_begin_, at_ - 1 - line_begin_);
    ++at_;
    return end_line(line);
  }
  if (c == '\r') {
    after_cr_ = true;
  } else if (c == '\n') {
    return refuse(400, "a line of the head ends without a carriage return");
  } else if (is_forbidden_control(c)) {
    if (c == kTlsHandshake && at_ == 0) {
      return refuse(400, "this port speaks plain HTTP, not TLS: use http:// in the URL");
    }
    return refuse(400, "the head contains a control character");
  } else if (!request_line_seen_ && at_ == line_begin_ && !is_token_char(c)) {
    return refuse(400, "the request does not begin with a method name");
  }
  ++at_;
  return Progress::kMore;
}

HeadScanner::Progress HeadScanner::end_line(std::string_view line) {
  if (!request_line_seen_) {
    if (line.empty()) {
      // Spec: RFC 9112 section 2.2, one empty line before a request is tolerated.
      if (empty_line_skipped_) return refuse(400, "the request line is empty");
      empty_line_skipped_ = true;
      begin_ = line_begin_ = at_;
      return Progress::kMore;
    }
    if (line.size() > limits::kHttpRequestLineSizeMax) return check_size();
    refusal_ = check_request_line(line);
    request_line_seen_ = true;
  } else {
    if (line.empty()) return Progress::kComplete;
    field_bytes_ += line.size() + 2;
    ++field_count_;
    if (field_bytes_ > limits::kHttpHeaderSizeMax || field_count_ > limits::kHttpHeaderCountMax) {
      return check_size();
    }
    refusal_ = check_field_line(line);
  }
  if (refusal_) return Progress::kRefused;
  line_begin_ = at_;
  return Progress::kMore;
}

HeadScanner::Progress HeadScanner::check_size() {
  const std::size_t line_size = at_ - line_begin_;
  if (!request_line_seen_) {
    // A CRLF is not part of the line, and may be what comes next.
    if (line_size <= limits::kHttpRequestLineSizeMax + 2) return Progress::kMore;
    return refuse(
        414, str("the request line is longer than ", limits::kHttpRequestLineSizeMax, " bytes"));
  }
  if (field_count_ > limits::kHttpHeaderCountMax) {
    return refuse(431, str("more than ", limits::kHttpHeaderCountMax, " header fields"));
  }
  if (field_bytes_ + line_size > limits::kHttpHeaderSizeMax) {
    return refuse(431, str("the header fields exceed ", limits::kHttpHeaderSizeMax, " bytes"));
  }
  return Progress::kMore;
}

Refusal check_request_line(std::string_view line) {
  const std::size_t method_end = line.find(' ');
  const std::string_view method = line.substr(0, method_end);
  if (method.empty() || !is_token(method)) return bad_request("the method is not a token");
  if (method.size() > kMethodSizeMax) return {501, "the method is not known"};
  if (method_end == std::string_view::npos) {
    return bad_request("the request line has no target and no version");
  }
  const std::string_view rest = line.substr(method_end + 1);
  const std::size_t target_end = rest.find(' ');
  if (target_end == std::string_view::npos) {
    return bad_request("the request line has no HTTP version: HTTP/0.9 is not spoken here");
  }
  const std::string_view target = rest.substr(0, target_end);
  const std::string_view version = rest.substr(target_end + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return bad_request("the request line does not end with an HTTP version");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  }
  if (target.empty() || target.front() != '/') {
    return bad_request("the request target must be a path that begins with '/'");
  }
  const auto bad = std::find_if_not(target.begin(), target.end(), is_target_char);
  if (bad != target.end()) {
    return bad_request("the request target contains a character that must be percent-encoded");
  }
  return {};
}

Refusal check_field_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {
    return bad_request("folded header lines are not accepted");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return bad_request("a header line has no colon");
  if (colon == 0) return bad_request("a header line has no name");
  const std::string_view name = line.substr(0, colon);
  if (name.back() == ' ' || name.back() == '\t') {
    return bad_request("a header name is followed by white space");
  }
  if (!is_token(name)) return bad_request("a header name contains a character that is not allowed");
  return {};
}

Refusal decide_framing(const Headers& headers, bool is_http_1_0, Framing& framing) {
  const std::string* length = nullptr;
  const std::string* coding = nullptr;
  for (const auto& [name, value] : headers) {
    if (name == "content-length") {
      if (length != nullptr) return bad_request("Content-Length is given more than once");
      length = &value;
    } else if (name == "transfer-encoding") {
      if (coding != nullptr) return bad_request("Transfer-Encoding is given more than once");
      coding = &value;
    }
  }
  framing = {};
  if (length != nullptr && coding != nullptr) {
    return bad_request("both Content-Length and Transfer-Encoding are given");
  }
  if (coding != nullptr) {
    if (is_http_1_0) return bad_request("HTTP/1.0 has no Transfer-Encoding");
    if (!equals_ignoring_case(*coding, "chunked")) {
      return {501, "the only Transfer-Encoding accepted is chunked"};
    }
    framing.kind = Framing::Kind::kChunked;
  } else if (length != nullptr) {
    // from_chars alone would take a sign; digits only, and few enough to fit 64 bits.
    constexpr std::size_t kDigitCountMax = 18;
    if (length->empty() || !std::all_of(length->begin(), length->end(), is_digit)) {
      return bad_request("Content-Length is not a decimal number");
    }
    if (length->size() > kDigitCountMax) return {413, "Content-Length is too large"};
    framing.kind = Framing::Kind::kLength;
    std::from_chars(length->data(), length->data() + length->size(), framing.length);
  }
  return {};
}

}  // namespace inferneo::gateway::http
