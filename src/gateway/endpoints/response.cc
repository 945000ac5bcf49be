#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/response_job.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kResponseEndpoint;
const Endpoint kResponseEndpoint{
    .method = "GET",
    .path = "/v1/responses/{id}",
    .summary = "A stored response",
    .handle = handle,
};

namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const http::RequestHead& head = exchange->request().head;
  if (head.query.find("stream=true") != std::string::npos) {
    exchange->respond(http::error_response(
        unsupported("a stored response cannot be streamed").with_where("stream")));
    return;
  }
  const auto stored = find_response(services, path_id(kResponseEndpoint, head.path));
  http::Response response;
  if (stored.has_value()) {
    response.body = (*stored)->body;
  } else {
    response = http::error_response(stored.error());
  }
  exchange->respond(std::move(response));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
