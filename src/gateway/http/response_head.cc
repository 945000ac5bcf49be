#include "gateway/http/response_head.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <random>

#include "base/str.h"
#include "gateway/http/text.h"

namespace inferneo::gateway::http {
namespace {

constexpr std::size_t kRequestIdSizeMax = 128;

// Seeded per thread from the system; ids need to differ, not to be secret.
std::mt19937_64& generator() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return engine;
}

// Spec: RFC 9110 section 5.6.7, IMF-fixdate. Rendered once a second per thread.
std::string_view date() {
  thread_local std::time_t rendered_at = -1;
  thread_local std::array<char, 40> text{};
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != rendered_at) {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    gmtime_r(&now, &parts);
    // Why not %a and %b: they follow the locale.
    std::array<char, 24> clock{};
    std::strftime(clock.data(), clock.size(), "%Y %H:%M:%S", &parts);
    const std::string rendered = str(kDays[parts.tm_wday],
                                     ", ",
                                     parts.tm_mday < 10 ? "0" : "",
                                     parts.tm_mday,
                                     " ",
                                     kMonths[parts.tm_mon],
                                     " ",
                                     std::string_view(clock.data()),
                                     " GMT");
    size = std::min(rendered.size(), text.size());
    std::copy_n(rendered.begin(), size, text.begin());
    rendered_at = now;
  }
  return {text.data(), size};
}

// Whole seconds, spread so that refused clients do not come back together.
int retry_after_seconds() { return 1 + static_cast<int>(generator()() % 3); }

bool is_field_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

bool is_framing_field(std::string_view name) {
  static constexpr std::string_view kNames[] = {"content-length",
                                                "transfer-encoding",
                                                "connection",
                                                "keep-alive",
                                                "x-request-id",
                                                "date",
                                                "trailer",
                                                "upgrade"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view known) {
    return equals_ignoring_case(name, known);
  });
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

}  // namespace

bool is_bodyless(int status) { return status == 204 || status == 304 || status < 200; }

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

std::string render_response_head(const Response& response,
                                 const ResponseFraming& framing,
                                 std::string_view request_id) {
  std::string out;
  out.reserve(384);
  out += str("HTTP/1.1 ", response.status, " ", reason_phrase(response.status), "\r\n");
  append_field(out, "Date", date());
  append_field(out, "x-request-id", request_id);
  if (!is_bodyless(response.status)) {
    if (!response.content_type.empty() && is_field_value(response.content_type)) {
      append_field(out, "Content-Type", response.content_type);
    }
    if (framing.content_length) {
      append_field(out, "Content-Length", str(*framing.content_length));
    } else if (!framing.is_http_1_0) {
      append_field(out, "Transfer-Encoding", "chunked");
    }
  }
  if (!framing.keep_alive) {
    append_field(out, "Connection", "close");
  } else if (framing.is_http_1_0) {
    append_field(out, "Connection", "keep-alive");
  }
  bool has_cache_control = false;
  bool has_retry_after = false;
  for (const auto& [name, value] : response.headers) {
    if (!is_token(name) || !is_field_value(value) || is_framing_field(name)) continue;
    has_cache_control |= equals_ignoring_case(name, "cache-control");
    has_retry_after |= equals_ignoring_case(name, "retry-after");
    append_field(out, name, value);
  }
  if (framing.is_stream && !has_cache_control) append_field(out, "Cache-Control", "no-store");
  if (!has_retry_after && (response.status == 429 || response.status == 503)) {
    append_field(out, "Retry-After", str(retry_after_seconds()));
  }
  out += "\r\n";
  return out;
}

bool is_valid_request_id(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdSizeMax &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return is_digit(c) || is_letter(c) || c == '.' || c == '_' || c == '-';
         });
}

std::string make_request_id() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string id = "req-";
  std::uint64_t bits = generator()();
  for (int i = 0; i < 16; ++i, bits >>= 4) id += kDigits[bits & 15];
  return id;
}

}  // namespace inferneo::gateway::http
