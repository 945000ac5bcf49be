// Finds the endpoint of a request. Decides from the head alone, so that a wrong path, method or
// type of body is refused before the body is read.
#include <algorithm>
#include <cctype>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/anthropic/error.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/kserve/error.h"
#include "gateway/endpoints/ollama/error.h"
#include "gateway/endpoints/path_pattern.h"
#include "gateway/endpoints/query.h"
#include "gateway/endpoints/response_store.h"
#include "gateway/endpoints/stream_pinger.h"
#include "gateway/endpoints/websocket_session.h"

namespace inferneo::gateway::endpoints {
namespace {

bool matches(const Endpoint& endpoint, std::string_view path) {
  return match_path(endpoint.path, path).has_value();
}

// The endpoint that a path means, whatever the method: the most literal one. `methods` gets those
// that its path supports when `method` is none of them.
const Endpoint* find_endpoint(std::string_view method,
                              std::string_view path,
                              std::string& methods) {
  const Endpoint* best = nullptr;
  for (const Endpoint* endpoint : endpoint_table()) {
    if (!matches(*endpoint, path)) continue;
    if (best == nullptr || literal_size(endpoint->path) > literal_size(best->path)) {
      best = endpoint;
      methods.clear();
    }
    if (endpoint->path != best->path) continue;
    methods += str(methods.empty() ? "" : ", ", endpoint->method);
    if (endpoint->method == method) best = endpoint;
  }
  return best;
}

// Spec: RFC 9110 section 8.3.1: type and subtype without case, parameters after a semicolon.
bool is_type(std::string_view content_type, std::string_view wanted) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return std::equal(type.begin(), type.end(), wanted.begin(), wanted.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

class TableDispatcher final : public http::Dispatcher {
 public:
  explicit TableDispatcher(const Services& services)
      : pinger_(*services.clock), services_(services) {
    services_.pinger = &pinger_;
    services_.dispatcher = this;
    services_.responses = std::make_shared<ResponseStore>(
        ResponseStoreLimits{.count_max = limits::kResponseStoreCountMax,
                            .bytes_max = limits::kResponseStoreBytesMax,
                            .age_max = limits::kResponseStoreAgeMax},
        *services.clock);
  }

  Result<std::size_t> admit(const http::RequestHead& head) override {
    std::string methods;
    const Endpoint* endpoint = find_endpoint(head.method, head.path, methods);
    if (endpoint == nullptr) return not_found("no such path").with_hint("GET / lists the paths");
    if (endpoint->method == head.method) {
      RETURN_IF_ERROR(check_query(*endpoint, head.query));
      return admit_body(*endpoint, head);
    }
    return unsupported(str("this path does not support the method; it supports ", methods))
        .with_where("method")
        .with_hint(methods);
  }

  // In the form that the clients of the path's protocol read.
  http::Response refusal(const http::RequestHead& head, const Status& status) const override {
    const std::string_view path = head.path;
    const bool is_management = path.starts_with("/api/v1/");
    if (path.starts_with("/api/") && !is_management) return ollama::error_response(status);
    if (path.starts_with("/v2/") && path != "/v2/rerank") return kserve::error_response(status);
    if (path == "/v1/messages" || path.starts_with("/v1/messages/")) {
      return anthropic::error_response(status, head.request_id);
    }
    return http::error_response(status);
  }

  void dispatch(std::shared_ptr<http::Exchange> exchange) override {
    const http::RequestHead& head = exchange->request().head;
    std::string methods;
    const Endpoint* endpoint = find_endpoint(head.method, head.path, methods);
    if (endpoint != nullptr && endpoint->method == head.method) {
      endpoint->handle(services_, std::move(exchange));
      return;
    }
    exchange->respond(refusal(head, not_found("no such path")));
  }

  Result<std::shared_ptr<http::WebSocketHandler>> open_websocket(
      const http::RequestHead& head) override {
    auto session = make_websocket_session(services_, head.path);
    if (session == nullptr) return not_found("no such path for WebSocket connections");
    return session;
  }

 private:
  static Status check_query(const Endpoint& endpoint, std::string_view query) {
    if (!endpoint.query || query.empty()) return ok_status();
    std::vector<std::string_view> known;
    for (std::string_view rest = *endpoint.query; !rest.empty();) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      known.push_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    for (const std::string& name : query_names(query)) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const std::string_view near = nearest_name(name, known);
      const std::string shown = printable(name);
      return invalid_argument(str("the query has no parameter '", shown, "'"))
          .with_where(shown)
          .with_hint(!near.empty()   ? str("did you mean '", near, "'?")
                     : known.empty() ? std::string("it has none")
                                     : str("it has ", *endpoint.query));
    }
    return ok_status();
  }

  // Why the type is demanded even though only JSON is read: a page in a browser can send any other
  // type to this server without asking, and this one only with permission. Where other types are
  // accepted, a page of another origin is refused instead: browsers name it.
  static Result<std::size_t> admit_body(const Endpoint& endpoint, const http::RequestHead& head) {
    if (endpoint.method != "POST") return endpoint.body_size_max;
    const std::string_view type = head.header("content-type");
    if (is_type(type, "application/json") &&
        (endpoint.body_type.empty() || endpoint.body_type == "application/json")) {
      return endpoint.body_size_max;
    }
    if (!endpoint.body_type.empty() && !is_type(type, endpoint.body_type)) {
      return unsupported(endpoint.body_type == "application/json"
                             ? "the body must be JSON"
                             : str("the body must be of the type ", endpoint.body_type))
          .with_where("content-type")
          .with_hint(str("send the header 'Content-Type: ", endpoint.body_type, "'"));
    }
    if (is_foreign(head)) {
      return Status(StatusCode::kPermissionDenied, "a page of another origin may send only JSON")
          .with_where("origin");
    }
    return endpoint.body_size_max;
  }

  // Spec: Fetch standard, the Origin header: sent by browsers with every POST.
  static bool is_foreign(const http::RequestHead& head) {
    const std::string_view origin = head.header("origin");
    if (origin.empty()) return false;
    const std::size_t scheme = origin.find("://");
    return scheme == std::string_view::npos || origin.substr(scheme + 3) != head.header("host");
  }

  StreamPinger pinger_;
  Services services_;
};

}  // namespace

std::string_view path_parameter(const Endpoint& endpoint,
                                std::string_view path,
                                std::string_view name) {
  const auto parameters = match_path(endpoint.path, path);
  if (!parameters) return {};
  for (const auto& [known, value] : *parameters) {
    if (known == name) return value;
  }
  return {};
}

std::unique_ptr<http::Dispatcher> make_dispatcher(const Services& services) {
  return std::make_unique<TableDispatcher>(services);
}

}  // namespace inferneo::gateway::endpoints
