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

// The OpenAI-shaped error of a failure: {"error":{"message","type","param","code"}}, valid UTF-8,
// at most limits::kErrorBodySizeMax bytes. The only place that knows both StatusCode and HTTP
// status:
//   invalid_argument, failed_precondition, unsupported 400   unauthenticated 401
//   permission_denied 403   not_found 404   already_exists 409   cancelled 499
//   corrupt_data, internal 500 (a fixed message: the details belong into the log)
//   resource_exhausted, unavailable 503 (overloaded)   deadline_exceeded 504
// `where` of the status becomes `param`, and some values of it say more:
//   not_found "model"            code model_not_found
//   not_found "previous_response_id"   400, code previous_response_not_found
//   resource_exhausted "quota"   429 rate_limit_error: the caller's own share is used up
//   resource_exhausted "body"    413
//   unsupported "content-type"   415
//   resource_exhausted "catalog" 507
//   failed_precondition "model_id" or "version"  409: the state of the model forbids it
//   "path" of a model whose files are missing, damaged or of another kind  422
//   unsupported "method"         405; the hint lists the methods for the Allow header ("GET, POST")
Response error_response(const Status& status);
// The same body for a failure that HTTP itself defines (404 route, 408, 413, 431).
Response http_error(int status, std::string_view message);
// The same facts for dialects that shape their errors themselves. `message` tells no details of our
// own faults and is valid UTF-8; `param` and `code` may be empty.
struct ErrorFacts {
  int status = 500;
  std::string type;
  std::string code;
  std::string param;
  std::string message;
};
ErrorFacts error_facts(const Status& status);
// The error object alone, as a mid-stream frame carries it.
std::string error_json(const Status& status);
int http_status(StatusCode code);

}  // namespace inferneo::gateway::http
