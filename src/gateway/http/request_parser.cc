#include "gateway/http/request_parser.h"

#include "gateway/http/boost_config.h"

#include <boost/beast/http/basic_parser.hpp>

#include "base/limits.h"
#include "base/str.h"
#include "gateway/http/target.h"
#include "gateway/http/text.h"

namespace inferneo::gateway::http {
namespace beast = boost::beast;

namespace {

// Chunk extensions and trailers are dropped, so a client gains nothing by sending many.
constexpr std::size_t kExtensionSizeMax = 1024;
constexpr std::size_t kTrailerSizeMax = 2048;
// What may be waiting for the end of a chunk's line or of the trailer section.
constexpr std::size_t kChunkLineSizeMax = 4096;
// The shortest end of a chunked body, "0 CRLF CRLF". Why: Beast 1.81 asserts that it sees at least
// this much once it has read the line of a last chunk that is also the first.
constexpr std::size_t kChunkedEndSize = 5;
// First reservation of a body; more only as bytes really arrive, so that a large Content-Length
// alone costs no memory.
constexpr std::size_t kBodyReserveSize = 64 * 1024;

}  // namespace

// Receives Beast's parse events: fields into the head, body bytes into the sink.
class RequestParser::Beast final : public beast::http::basic_parser<true> {
 public:
  explicit Beast(RequestHead& head) : head_(head) {
    header_limit(static_cast<std::uint32_t>(limits::kHttpRequestLineSizeMax +
                                            limits::kHttpHeaderSizeMax + 64));
    body_limit(boost::none);  // decided after the head, by parse_body
  }

  std::string target;
  int version = 0;
  std::string* sink = nullptr;
  bool in_chunk_data = false;

 private:
  using error_code = beast::error_code;
  using string_view = beast::string_view;

  void on_request_impl(beast::http::verb,
                       string_view method,
                       string_view request_target,
                       int http_version,
                       error_code&) override {
    head_.method = std::string(method);
    target = std::string(request_target);
    version = http_version;
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(beast::http::field,
                     string_view name,
                     string_view value,
                     error_code& error) override {
    if (!is_header_seen_) {
      head_.headers.emplace_back(lower(name), std::string(value));
    } else if (trailer_size_ += name.size() + value.size(); trailer_size_ > kTrailerSizeMax) {
      error = beast::http::error::header_limit;
    }
  }
  void on_header_impl(error_code&) override { is_header_seen_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (sink != nullptr && length) {
      sink->reserve(static_cast<std::size_t>(
          std::min<std::uint64_t>(*length, std::uint64_t{kBodyReserveSize})));
    }
  }
  std::size_t on_body_impl(string_view bytes, error_code&) override {
    if (sink != nullptr) sink->append(bytes);
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t size,
                            string_view extensions,
                            error_code& error) override {
    if (extensions.size() > kExtensionSizeMax) error = beast::http::error::bad_chunk_extension;
    in_chunk_data = size > 0;
  }
  std::size_t on_chunk_body_impl(std::uint64_t remaining, string_view bytes, error_code&) override {
    if (sink != nullptr) sink->append(bytes);
    in_chunk_data = remaining > bytes.size();
    return bytes.size();
  }
  void on_finish_impl(error_code&) override {}

  RequestHead& head_;
  std::size_t trailer_size_ = 0;
  bool is_header_seen_ = false;  // fields after this are trailers, which are dropped
};

RequestParser::RequestParser() = default;
RequestParser::~RequestParser() = default;

RequestParser::Progress RequestParser::refuse(Refusal refusal) {
  refusal_ = std::move(refusal);
  return Progress::kRefused;
}

RequestParser::Progress RequestParser::parse_head(std::string_view bytes, std::size_t& consumed) {
  consumed = 0;
  switch (scanner_.scan(bytes)) {
    case HeadScanner::Progress::kMore:
      return Progress::kMore;
    case HeadScanner::Progress::kRefused:
      return refuse(scanner_.refusal());
    case HeadScanner::Progress::kComplete:
      break;
  }
  consumed = scanner_.end();
  return read_head(bytes.substr(scanner_.begin(), scanner_.end() - scanner_.begin()));
}

RequestParser::Progress RequestParser::read_head(std::string_view head) {
  beast_ = std::make_unique<Beast>(head_);
  beast::error_code error;
  const std::size_t used = beast_->put(boost::asio::buffer(head.data(), head.size()), error);
  if (error || used != head.size() || !beast_->is_header_done()) {
    return refuse({400, str("the request head is malformed: ", error.message())});
  }
  is_http_1_0_ = beast_->version == 10;
  if (Refusal refusal = check_fields()) return refuse(std::move(refusal));
  keep_alive_ = beast_->keep_alive();
  if (Refusal refusal = split_target(beast_->target, head_.path, head_.query)) {
    return refuse(std::move(refusal));
  }
  return Progress::kComplete;
}

Refusal RequestParser::check_fields() {
  if (Refusal refusal = decide_framing(head_.headers, is_http_1_0_, framing_)) return refusal;
  // Invariant: the strict rules and Beast agree on where the body ends.
  const bool is_length = framing_.kind == Framing::Kind::kLength;
  const auto length = beast_->content_length();
  if (beast_->chunked() != (framing_.kind == Framing::Kind::kChunked) ||
      length.has_value() != is_length || (is_length && *length != framing_.length)) {
    return {400, "the length of the body is ambiguous"};
  }
  int host_count = 0;
  for (const auto& [name, value] : head_.headers) {
    if (name == "host") ++host_count;
    if (name == "expect") {
      if (!equals_ignoring_case(value, "100-continue")) {
        return {417, "the only expectation supported is 100-continue"};
      }
      expects_continue_ = !is_http_1_0_;
    }
  }
  if (host_count > 1) return {400, "the Host header is given more than once"};
  if (host_count == 0 && !is_http_1_0_) return {400, "the Host header is missing"};
  return {};
}

bool RequestParser::has_body() const {
  return framing_.kind == Framing::Kind::kChunked ||
         (framing_.kind == Framing::Kind::kLength && framing_.length > 0);
}

RequestParser::Progress RequestParser::parse_body(std::string_view bytes,
                                                  std::size_t size_max,
                                                  std::string* body,
                                                  std::size_t& consumed) {
  consumed = 0;
  const auto too_large = [&] {
    return refuse({413, str("the request body is larger than ", size_max, " bytes")});
  };
  const bool is_chunked = framing_.kind == Framing::Kind::kChunked;
  if (!body_begun_) {
    if (!is_chunked && framing_.length > size_max) return too_large();
    if (bytes.empty() || (is_chunked && bytes.size() < kChunkedEndSize)) return Progress::kMore;
    if (is_chunked) beast_->body_limit(size_max);
    beast_->eager(true);
    body_begun_ = true;
  }
  beast_->sink = body;
  beast::error_code error;
  consumed = beast_->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  beast_->sink = nullptr;
  if (error == beast::http::error::body_limit) return too_large();
  if (error && error != beast::http::error::need_more) {
    return refuse({400, str("the request body is malformed: ", error.message())});
  }
  if (beast_->is_done()) return Progress::kComplete;
  if (is_chunked && !beast_->in_chunk_data && bytes.size() - consumed > kChunkLineSizeMax) {
    return refuse(
        {400, str("a chunk header or trailer is longer than ", kChunkLineSizeMax, " bytes")});
  }
  return Progress::kMore;
}

}  // namespace inferneo::gateway::http
