// The one place that maps status codes to HTTP and to OpenAI's error object.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/utf8.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::http {
namespace {

struct ErrorObject {
  int status = 500;
  std::string_view type;
  std::string_view code;   // empty: null
  std::string_view param;  // empty: null
};

constexpr std::string_view kInvalidRequest = "invalid_request_error";
constexpr std::string_view kOverloaded = "overloaded_error";
// Details of our own failures go to the log only: they may name files and addresses.
constexpr std::string_view kInternalMessage =
    "The server had an error while processing the request. Its log has the details under the "
    "request id of this answer.";

// Fields of a status that mean something to HTTP itself; see error_response() in message.h.
constexpr std::string_view kMethodField = "method";
constexpr std::string_view kContentTypeField = "content-type";
constexpr std::string_view kBodyField = "body";
constexpr std::string_view kQuotaField = "quota";
constexpr std::string_view kModelField = "model";
constexpr std::string_view kPreviousResponseField = "previous_response_id";
constexpr std::string_view kModelIdField = "model_id";
constexpr std::string_view kVersionField = "version";
constexpr std::string_view kPathField = "path";
constexpr std::string_view kCatalogField = "catalog";

ErrorObject describe(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return {200, "", "", ""};
    case StatusCode::kCancelled:
      return {499, "cancelled_error", "cancelled", ""};
    case StatusCode::kInvalidArgument:
      return {400, kInvalidRequest, "", ""};
    case StatusCode::kNotFound:
      return {404, "not_found_error", "", ""};
    case StatusCode::kAlreadyExists:
      return {409, "conflict_error", "already_exists", ""};
    case StatusCode::kFailedPrecondition:
      return {400, kInvalidRequest, "failed_precondition", ""};
    case StatusCode::kResourceExhausted:
      return {503, kOverloaded, "overloaded", ""};
    case StatusCode::kDeadlineExceeded:
      return {504, "timeout_error", "timeout", ""};
    case StatusCode::kUnauthenticated:
      return {401, "authentication_error", "invalid_api_key", ""};
    case StatusCode::kPermissionDenied:
      return {403, "permission_error", "permission_denied", ""};
    case StatusCode::kUnsupported:
      return {400, kInvalidRequest, "unsupported", ""};
    case StatusCode::kUnavailable:
      return {503, kOverloaded, "unavailable", ""};
    case StatusCode::kCorruptData:
    case StatusCode::kInternal:
      break;
  }
  return {500, "server_error", "internal_error", ""};
}

// Of a model that a client names by path: the request is well-formed, the files are not.
bool is_about_files(StatusCode code) {
  return code == StatusCode::kNotFound || code == StatusCode::kCorruptData ||
         code == StatusCode::kUnsupported || code == StatusCode::kFailedPrecondition;
}

ErrorObject describe(const Status& status) {
  ErrorObject error = describe(status.code());
  const std::string_view where = status.where();
  const bool is_unsupported = status.code() == StatusCode::kUnsupported;
  if (is_unsupported && where == kMethodField)
    return {405, kInvalidRequest, "method_not_allowed", ""};
  if (is_unsupported && where == kContentTypeField) {
    return {415, kInvalidRequest, "unsupported_media_type", ""};
  }
  if (status.code() == StatusCode::kNotFound && where == kPreviousResponseField) {
    return {400, kInvalidRequest, "previous_response_not_found", kPreviousResponseField};
  }
  if (status.code() == StatusCode::kResourceExhausted) {
    if (where == kBodyField) return {413, kInvalidRequest, "request_too_large", ""};
    if (where == kQuotaField) return {429, "rate_limit_error", "rate_limit_exceeded", ""};
    if (where == kCatalogField) return {507, "storage_error", "insufficient_storage", ""};
  }
  if (status.code() == StatusCode::kFailedPrecondition &&
      (where == kModelIdField || where == kVersionField)) {
    return {409, "conflict_error", "conflict", where};
  }
  if (where == kPathField && is_about_files(status.code())) {
    return {422, kInvalidRequest, "unusable_model", where};
  }
  if (status.code() == StatusCode::kNotFound && where == kModelField) {
    error.code = "model_not_found";
  }
  if (error.status != 500) error.param = where;
  return error;
}

ErrorObject describe_http(int status) {
  switch (status) {
    case 404:
      return {status, "not_found_error", "not_found", ""};
    case 405:
      return {status, kInvalidRequest, "method_not_allowed", ""};
    case 408:
      return {status, "timeout_error", "request_timeout", ""};
    case 413:
      return {status, kInvalidRequest, "request_too_large", ""};
    case 415:
      return {status, kInvalidRequest, "unsupported_media_type", ""};
    case 421:
      return {status, kInvalidRequest, "misdirected_request", ""};
    case 429:
      return {status, "rate_limit_error", "rate_limit_exceeded", ""};
    case 431:
      return {status, kInvalidRequest, "headers_too_large", ""};
    case 503:
      return {status, kOverloaded, "overloaded", ""};
    case 504:
      return {status, "timeout_error", "timeout", ""};
    default:
      break;
  }
  if (status >= 500 && status != 501 && status != 505) {
    return {status, "server_error", "internal_error", ""};
  }
  return {status, kInvalidRequest, "", ""};
}

nlohmann::ordered_json string_or_null(std::string_view text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

// Cuts to whole characters; `text` is valid UTF-8.
std::string_view cut(std::string_view text, std::size_t size_max) {
  if (text.size() <= size_max) return text;
  while (size_max > 0 && (static_cast<unsigned char>(text[size_max]) & 0xC0) == 0x80) --size_max;
  return text.substr(0, size_max);
}

std::string write_object(const ErrorObject& error,
                         std::string_view message,
                         std::string_view param) {
  nlohmann::ordered_json body;
  body["error"] = {{"message", message},
                   {"type", error.type},
                   {"param", string_or_null(param)},
                   {"code", string_or_null(error.code)}};
  return body.dump();
}

// Bound: limits::kErrorBodySizeMax. Escaping can make a byte six times as long, so the text is cut
// again until the result fits.
std::string render(const ErrorObject& error, std::string_view raw_message) {
  constexpr std::size_t kParamSizeMax = 128;
  const std::string message = utf8::sanitize(raw_message.substr(0, 2 * limits::kErrorBodySizeMax));
  const std::string param = utf8::sanitize(error.param.substr(0, 2 * kParamSizeMax));
  std::size_t message_size_max = limits::kErrorBodySizeMax - 512;
  std::size_t param_size_max = kParamSizeMax;
  for (;;) {
    std::string json =
        write_object(error, cut(message, message_size_max), cut(param, param_size_max));
    if (json.size() <= limits::kErrorBodySizeMax) return json;
    message_size_max /= 2;
    param_size_max /= 2;
  }
}

bool is_method_list(std::string_view text) {
  for (const char c : text) {
    if (!(c >= 'A' && c <= 'Z') && c != ',' && c != ' ') return false;
  }
  return !text.empty();
}

std::string message_of(const Status& status, const ErrorObject& error) {
  if (error.status == 500) return std::string(kInternalMessage);
  if (status.hint().empty() || error.status == 405) return status.message();
  return status.message() + " (" + status.hint() + ")";
}

}  // namespace

int http_status(StatusCode code) { return describe(code).status; }

ErrorFacts error_facts(const Status& status) {
  const ErrorObject error = describe(status);
  const std::string message = utf8::sanitize(message_of(status, error));
  return {.status = error.status,
          .type = std::string(error.type),
          .code = std::string(error.code),
          .param = utf8::sanitize(error.param),
          .message = std::string(cut(message, limits::kErrorBodySizeMax - 512))};
}

std::string error_json(const Status& status) {
  const ErrorObject error = describe(status);
  return render(error, message_of(status, error));
}

Response error_response(const Status& status) {
  const ErrorObject error = describe(status);
  Response response;
  response.status = error.status;
  response.body = render(error, message_of(status, error));
  if (error.status == 405 && is_method_list(status.hint())) {
    response.headers.emplace_back("Allow", status.hint());
  }
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

Response http_error(int status, std::string_view message) {
  Response response;
  response.status = status;
  response.body = render(describe_http(status), message);
  return response;
}

}  // namespace inferneo::gateway::http
