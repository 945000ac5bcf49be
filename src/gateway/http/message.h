// HTTP messages as plain values, free of any HTTP library.
// Thread: any (values).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace inferneo::gateway::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct RequestHead {
  std::string method;  // "POST"
  std::string path;    // percent-decoded, without the query, begins with '/'
  std::string query;   // raw, without '?'
  Headers headers;     // names in lower case
  std::string remote_address;
  // Chosen by the server (or a valid x-request-id of the client); returned in x-request-id.
  std::string request_id;

  // The first header of that (lower-case) name, or empty.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct Request {
  RequestHead head;
  std::string body;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;
};

// The OpenAI-shaped error of a failure: {"error":{"message","type","param","code"}}. The only place
// that knows both StatusCode and HTTP status. `where` of the status becomes `param`.
Response error_response(const Status& status);
// The same body for a failure that HTTP itself defines (404 route, 405, 408, 413, 415, 431).
Response http_error(int status, std::string_view message);
// The error object alone, as a mid-stream frame carries it.
std::string error_json(const Status& status);
int http_status(StatusCode code);

}  // namespace inferneo::gateway::http
