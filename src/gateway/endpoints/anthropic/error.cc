#include "gateway/endpoints/anthropic/error.h"

#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints::anthropic {
namespace {

// Spec: Anthropic API, errors.
std::string_view type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

std::string write(const http::ErrorFacts& facts, std::string_view request_id) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("type", "error");
  json.key("error");
  json.begin_object();
  json.member("type", type_of(facts.status));
  json.member("message", facts.message);
  json.end_object();
  json.member("request_id", request_id);
  json.end_object();
  return out;
}

}  // namespace

std::string error_json(const Status& status, std::string_view request_id) {
  return write(http::error_facts(status), request_id);
}

http::Response error_response(const Status& status, std::string_view request_id) {
  http::Response response = http::error_response(status);
  response.body = error_json(status, request_id);
  return response;
}

http::Response error_response(const Status& status, const http::Exchange& exchange) {
  return error_response(status, exchange.request().head.request_id);
}

}  // namespace inferneo::gateway::endpoints::anthropic
