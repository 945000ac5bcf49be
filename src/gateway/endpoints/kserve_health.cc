// Whether the server is alive, and whether it takes requests. Spec: 200 for yes, 4xx for no.
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

http::Response answer(std::string_view name, bool yes) {
  http::Response response;
  response.status = yes ? 200 : 400;
  JsonWriter json(response.body);
  json.begin_object();
  json.key(name);
  json.boolean(yes);
  json.end_object();
  return response;
}

void handle_live(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  exchange->respond(answer("live", services.manager->health().live));
}

void handle_ready(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  exchange->respond(answer("ready", services.manager->health().ready));
}

}  // namespace

extern const Endpoint kKserveLiveEndpoint;
const Endpoint kKserveLiveEndpoint{
    .method = "GET",
    .path = "/v2/health/live",
    .summary = "Open Inference Protocol: 200 while the server is alive, else 400",
    .handle = handle_live,
};

extern const Endpoint kKserveReadyEndpoint;
const Endpoint kKserveReadyEndpoint{
    .method = "GET",
    .path = "/v2/health/ready",
    .summary = "Open Inference Protocol: 200 when requests are taken, else 400",
    .handle = handle_ready,
};

}  // namespace inferneo::gateway::endpoints
