// A small HTTP/1.1 client for calls to our own server: one request on one connection.
// Thread: any; blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::app {

struct ServerAddress {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};

// "http://HOST[:PORT]", or HOST[:PORT]; port 80 when none is named. Failures: invalid_argument.
Result<ServerAddress> parse_address(std::string_view text);

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// `timeout` is for connecting and for each pause while the answer comes. Failures: unavailable,
// deadline_exceeded, corrupt_data for what is no HTTP answer.
Result<HttpAnswer> http_request(const ServerAddress& server,
                                std::string_view method,
                                std::string_view target,
                                std::string_view json_body,
                                std::chrono::seconds timeout);

}  // namespace inferneo::app
