// One HTTP/1.1 POST to another program: for webhooks, nothing more. Plain http only: a connection
// with TLS would need a store of certificates and its upkeep, for calls that stay on the machine or
// network; the URL check says so.
// Thread: any; blocks until the answer or the timeout. A name that must be looked up may take
// longer than the timeout, as the system's resolver does.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::gateway::http {

struct HttpUrl {
  std::string host;  // without brackets
  std::string port;  // "80" when the URL has none
  std::string target;
  std::string authority;  // as in the URL, for the Host header
};

// Failures: invalid_argument when it is not http://host[:port][/path], or has user information.
Result<HttpUrl> parse_http_url(std::string_view url);

// The status of the answer; its body is not read. Failures: unavailable (no connection, with the
// reason), deadline_exceeded, corrupt_data (the answer is not HTTP), invalid_argument (the URL).
Result<int> post_json(std::string_view url,
                      std::string_view body,
                      std::chrono::milliseconds timeout);

}  // namespace inferneo::gateway::http
