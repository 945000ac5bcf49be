// The request target and the Host field: what a request says it wants and whom it means.
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/head_scanner.h"

namespace inferneo::gateway::http {

// Splits a target into the decoded path and the raw query. Refuses bad percent-encoding and encoded
// control characters. Dot segments stay as they are: a path is only compared with the route table.
Refusal split_target(std::string_view target, std::string& path, std::string& query);

// Which Host values this server answers to. A page of a foreign site that rebinds its own name to
// our address still sends its own name, so a list of names defeats it.
class HostPolicy {
 public:
  // `bound_host` as configured ("127.0.0.1", "0.0.0.0", "::1", a name). An entry of `allowed_hosts`
  // is a name or address, with or without a port; "*" accepts every host.
  HostPolicy(std::string_view bound_host, const std::vector<std::string>& allowed_hosts);

  // `host` is the field's value. Refuses with 400 (not a host) or 421 (not ours).
  [[nodiscard]] Refusal check(std::string_view host) const;

 private:
  struct Entry {
    std::string host;
    std::string port;  // empty: any
  };
  std::vector<Entry> allowed_;
  bool any_address_ = false;  // bound to the wildcard address: every IP literal is ours
  bool any_host_ = false;
};

// "host[:port]" with a lower-case host (brackets of IPv6 removed); empty when it is neither a name
// nor an address.
struct HostPort {
  std::string host;
  std::string port;
};
std::optional<HostPort> parse_host(std::string_view text);

bool is_ip_literal(std::string_view host);

}  // namespace inferneo::gateway::http
