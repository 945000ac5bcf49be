// Finds the endpoint of a request. Decides from the head alone, so that a wrong path, method or
// type of body is refused before the body is read.
#include <algorithm>
#include <cctype>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/stream_pinger.h"

namespace inferneo::gateway::endpoints {
namespace {

constexpr std::string_view kIdSuffix = "/{id}";

bool matches(const Endpoint& endpoint, std::string_view path) {
  if (!endpoint.path.ends_with(kIdSuffix)) return endpoint.path == path;
  return !path_id(endpoint, path).empty();
}

// Spec: RFC 9110 section 8.3.1: type and subtype without case, parameters after a semicolon.
bool is_json(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  constexpr std::string_view kJson = "application/json";
  return std::equal(type.begin(), type.end(), kJson.begin(), kJson.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

class TableDispatcher final : public http::Dispatcher {
 public:
  explicit TableDispatcher(const Services& services)
      : pinger_(*services.clock), services_(services) {
    services_.pinger = &pinger_;
  }

  Result<std::size_t> admit(const http::RequestHead& head) override {
    std::string methods;
    for (const Endpoint* endpoint : endpoint_table()) {
      if (!matches(*endpoint, head.path)) continue;
      if (endpoint->method == head.method) return admit_body(*endpoint, head);
      methods += str(methods.empty() ? "" : ", ", endpoint->method);
    }
    if (!methods.empty()) {
      return unsupported(str("this path does not support the method; it supports ", methods))
          .with_where("method")
          .with_hint(methods);
    }
    return not_found("no such path").with_hint("GET / lists the paths");
  }

  void dispatch(std::shared_ptr<http::Exchange> exchange) override {
    const http::RequestHead& head = exchange->request().head;
    for (const Endpoint* endpoint : endpoint_table()) {
      if (endpoint->method != head.method || !matches(*endpoint, head.path)) continue;
      endpoint->handle(services_, std::move(exchange));
      return;
    }
    exchange->respond(http::error_response(not_found("no such path")));
  }

 private:
  // Why the type is demanded even though only JSON is read: a page in a browser can send any other
  // type to this server without asking, and this one only with permission.
  static Result<std::size_t> admit_body(const Endpoint& endpoint, const http::RequestHead& head) {
    if (endpoint.method == "POST" && !is_json(head.header("content-type"))) {
      return unsupported("the body must be JSON")
          .with_where("content-type")
          .with_hint("send the header 'Content-Type: application/json'");
    }
    return endpoint.body_size_max;
  }

  StreamPinger pinger_;
  Services services_;
};

}  // namespace

std::string_view path_id(const Endpoint& endpoint, std::string_view path) {
  const std::string_view prefix = endpoint.path.substr(0, endpoint.path.size() - 4);  // "{id}"
  return path.starts_with(prefix) ? path.substr(prefix.size()) : std::string_view();
}

std::unique_ptr<http::Dispatcher> make_dispatcher(const Services& services) {
  return std::make_unique<TableDispatcher>(services);
}

}  // namespace inferneo::gateway::endpoints
