#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/response_job.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kResponseDeleteEndpoint;
const Endpoint kResponseDeleteEndpoint{
    .method = "DELETE",
    .path = "/v1/responses/{id}",
    .summary = "Forgets a stored response; one in the background is cancelled",
    .handle = handle,
};

namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const std::string id(path_id(kResponseDeleteEndpoint, exchange->request().head.path));
  const auto stored = find_response(services, id);
  if (!stored.has_value()) {
    exchange->respond(http::error_response(stored.error()));
    return;
  }
  UniqueFunction<void()> cancel = services.responses->take_cancel(id);
  services.responses->erase(id);
  if (cancel) cancel();
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("id", id);
  json.member("object", "response");
  json.key("deleted");
  json.boolean(true);
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
