#include "app/exposure.h"

#include <arpa/inet.h>

#include <string>

#include "base/str.h"

namespace inferneo::app {

bool is_loopback(std::string_view host) {
  const std::string text(host);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

Status check_exposure(const Config& config) {
  if (is_loopback(config.host) || config.allow_unauthenticated) return ok_status();
  return {StatusCode::kFailedPrecondition,
          str("refusing to listen on ",
              printable(config.host),
              ": requests are not authenticated, so everyone who reaches that address could use "
              "the models"),
          "keep --host 127.0.0.1 and put a proxy in front, or accept it with "
          "--allow-unauthenticated"};
}

ManagementPolicy management_policy(const Config& config) {
  if (config.management == "off") return ManagementPolicy::kOff;
  if (config.management == "read-only") return ManagementPolicy::kReadOnly;
  if (config.management == "on" || is_loopback(config.host)) return ManagementPolicy::kOn;
  return ManagementPolicy::kReadOnly;
}

std::string connectable(std::string_view host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  if (host == "::") return "::1";
  return std::string(host);
}

std::string base_url(std::string_view host, std::uint16_t port) {
  const bool bare_v6 = host.find(':') != std::string_view::npos;
  return str("http://", bare_v6 ? "[" : "", host, bare_v6 ? "]" : "", ":", port);
}

}  // namespace inferneo::app
