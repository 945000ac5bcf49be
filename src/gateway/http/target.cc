#include "gateway/http/target.h"

#include <arpa/inet.h>

#include <algorithm>

#include "gateway/http/text.h"

namespace inferneo::gateway::http {
namespace {

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char low = to_lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool is_name_char(char c) {
  return is_digit(c) || is_letter(c) || c == '-' || c == '.' || c == '_';
}

bool is_ipv6(std::string_view host) {
  in6_addr address;
  return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
}
bool is_ipv4(std::string_view host) {
  in_addr address;
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && is_ipv4(host));
}

}  // namespace

Refusal split_target(std::string_view target, std::string& path, std::string& query) {
  const std::size_t mark = target.find('?');
  query = mark == std::string_view::npos ? std::string() : std::string(target.substr(mark + 1));
  const std::string_view raw = target.substr(0, mark);
  path.clear();
  path.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = high >= 0 ? hex_digit(raw[i + 2]) : -1;
      if (low < 0) return {400, "the path has a '%' without two hexadecimal digits"};
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return {400, "the path has an encoded control character"};
    path += c;
  }
  return {};
}

std::optional<HostPort> parse_host(std::string_view text) {
  HostPort result;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    result.host = lower(text.substr(1, close - 1));
    if (!is_ipv6(result.host)) return std::nullopt;
    rest = text.substr(close + 1);
  } else {
    const std::size_t colon = text.find(':');
    result.host = lower(text.substr(0, colon));
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (result.host.ends_with('.')) result.host.pop_back();
    if (result.host.empty() || !std::all_of(result.host.begin(), result.host.end(), is_name_char)) {
      return std::nullopt;
    }
  }
  if (!rest.empty()) {
    if (rest.front() != ':' || rest.size() > 6) return std::nullopt;
    result.port = rest.substr(1);
    if (!std::all_of(result.port.begin(), result.port.end(), is_digit)) return std::nullopt;
  }
  return result;
}

bool is_ip_literal(std::string_view host) { return is_ipv4(host) || is_ipv6(host); }

HostPolicy::HostPolicy(std::string_view bound_host, const std::vector<std::string>& allowed_hosts) {
  any_address_ = bound_host == "0.0.0.0" || bound_host == "::" || bound_host.empty();
  allowed_.push_back({lower(bound_host), ""});
  for (const std::string& entry : allowed_hosts) {
    if (entry == "*") {
      any_host_ = true;
    } else if (is_ip_literal(entry)) {  // an IPv6 address without brackets
      allowed_.push_back({lower(entry), ""});
    } else if (auto parsed = parse_host(entry)) {
      allowed_.push_back({std::move(parsed->host), std::move(parsed->port)});
    }
  }
}

Refusal HostPolicy::check(std::string_view host) const {
  const auto parsed = parse_host(host);
  if (!parsed) return {400, "the Host header is not a host name or address"};
  if (any_host_ || is_loopback(parsed->host)) return {};
  if (any_address_ && is_ip_literal(parsed->host)) return {};
  for (const Entry& entry : allowed_) {
    if (entry.host == parsed->host && (entry.port.empty() || entry.port == parsed->port)) return {};
  }
  return {421, "this server does not answer to the host in the Host header (see allowed_hosts)"};
}

}  // namespace inferneo::gateway::http
