#include "gateway/http/websocket_handshake.h"

#include "gateway/http/boost_config.h"

#include <boost/beast/core/detail/base64.hpp>
#include <boost/beast/core/detail/sha1.hpp>

#include <algorithm>
#include <array>

#include "gateway/http/text.h"

namespace inferneo::gateway::http {
namespace {

constexpr std::size_t kKeySize = 24;  // 16 bytes in base64

bool is_key(std::string_view key) {
  if (key.size() != kKeySize || !key.ends_with("==")) return false;
  return std::all_of(key.begin(), key.end() - 2, [](char c) {
    return is_letter(c) || is_digit(c) || c == '+' || c == '/';
  });
}

std::size_t count_of(const RequestHead& head, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(head.headers.begin(), head.headers.end(), [&](const auto& field) {
        return field.first == name;
      }));
}

}  // namespace

bool wants_websocket(const RequestHead& head) {
  return list_contains(head.header("upgrade"), "websocket");
}

Refusal check_websocket_handshake(const RequestHead& head, bool is_http_1_0) {
  if (head.method != "GET" || is_http_1_0) {
    return {400, "a WebSocket connection is opened by GET over HTTP/1.1"};
  }
  if (!list_contains(head.header("connection"), "upgrade")) {
    return {400, "the Connection header of a WebSocket handshake must name Upgrade"};
  }
  if (head.header("sec-websocket-version") != "13") {
    return {426, "only version 13 of the WebSocket protocol is spoken here"};
  }
  if (count_of(head, "sec-websocket-key") != 1 || !is_key(head.header("sec-websocket-key"))) {
    return {400, "the Sec-WebSocket-Key header must hold 16 bytes in base64"};
  }
  return {};
}

Refusal check_origin(const RequestHead& head, const std::vector<std::string>& allowed_origins) {
  const std::size_t count = count_of(head, "origin");
  if (count == 0) return {};
  const std::string_view origin = head.header("origin");
  const bool is_listed =
      std::any_of(allowed_origins.begin(), allowed_origins.end(), [&](const std::string& allowed) {
        return allowed == "*" || equals_ignoring_case(allowed, origin);
      });
  if (count == 1 && is_listed) return {};
  const std::size_t authority = origin.find("://");
  const bool is_own = count == 1 && authority != std::string_view::npos &&
                      equals_ignoring_case(origin.substr(authority + 3), head.header("host"));
  if (is_own) return {};
  return {403, "pages of this origin may not connect (see allowed_origins)"};
}

std::string websocket_accept_value(std::string_view key) {
  namespace detail = boost::beast::detail;
  // Spec: RFC 6455 section 1.3.
  constexpr std::string_view kSalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  detail::sha1_context context;
  detail::init(context);
  detail::update(context, key.data(), key.size());
  detail::update(context, kSalt.data(), kSalt.size());
  std::array<char, detail::sha1_context::digest_size> digest{};
  detail::finish(context, digest.data());
  std::string text(detail::base64::encoded_size(digest.size()), '\0');
  text.resize(detail::base64::encode(text.data(), digest.data(), digest.size()));
  return text;
}

}  // namespace inferneo::gateway::http
