#include <string>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/model_json.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kModelEndpoint;
const Endpoint kModelEndpoint{
    .method = "GET",
    .path = "/v1/models/{id}",
    .summary = "One served model; its name may hold slashes",
    .handle = handle,
};

namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const std::string_view name = path_id(kModelEndpoint, exchange->request().head.path);
  const Result<manager::Lease> lease = services.manager->acquire(name);
  if (!lease.has_value()) {
    exchange->respond(http::error_response(lease.error()));
    return;
  }
  http::Response response;
  JsonWriter json(response.body);
  write_model(json, lease->model());
  exchange->respond(std::move(response));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
