// One HTTP/1.1 POST to another program, over TLS when the URL says https: for webhooks, nothing
// more. Thread: any; blocks until the answer or the timeout. A name that must be looked up may take
// longer than the timeout, as the system's resolver does.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::gateway::http {

struct HttpUrl {
  std::string host;  // without brackets
  std::string port;  // "80" or "443" when the URL has none
  std::string target;
  std::string authority;  // as in the URL, for the Host header
  bool is_secure = false;
};

// Failures: invalid_argument when it is not http[s]://host[:port][/path], or has user information.
Result<HttpUrl> parse_http_url(std::string_view url);

// The status of the answer; its body is not read. Failures: unavailable (no connection, with the
// reason), deadline_exceeded, corrupt_data (the answer is not HTTP), invalid_argument (the URL),
// permission_denied (its certificate is not to be trusted).
Result<int> post_json(std::string_view url,
                      std::string_view body,
                      std::chrono::milliseconds timeout);

}  // namespace inferneo::gateway::http
