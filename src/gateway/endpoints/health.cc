#include "base/version.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_serving_block.h"

namespace inferneo::gateway::endpoints {
namespace {

// Liveness: answers 503 only when a restart is the remedy.
void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const manager::ModelManager::Health health = services.manager->health();
  http::Response response;
  response.status = health.live ? 200 : 503;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("status", health.live ? "ok" : "stalled");
  json.member("service", "inferneo");
  json.member("version", version());
  json.key("server_rendered");
  json.boolean(true);
  if (!health.live) json.member("reason", health.reason);
  write_model_serving(json, *services.manager);
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kHealthEndpoint;
const Endpoint kHealthEndpoint{
    .method = "GET",
    .path = "/health",
    .summary = "Liveness: 503 when an engine with work has made no progress for a minute",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
