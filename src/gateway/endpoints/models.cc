#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/model_json.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("object", "list");
  json.key("data");
  json.begin_array();
  for (const auto& model : services.manager->list()) write_model(json, *model);
  json.end_array();
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kModelsEndpoint;
const Endpoint kModelsEndpoint{
    .method = "GET",
    .path = "/v1/models",
    .summary = "The served models",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
