#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_serving_block.h"

namespace inferneo::gateway::endpoints {
namespace {

void write_engine(JsonWriter& json, const manager::ServedModel& model) {
  const engine::EngineHealth health = model.engine->health();
  json.begin_object();
  json.member("id", model.name);
  json.member("running", health.running);
  json.member("waiting", health.waiting);
  json.member("waiting_max", health.waiting_max);
  json.key("work_pending");
  json.boolean(health.work_pending);
  json.key("last_progress_age_seconds");
  json.number(to_seconds(health.last_progress_age));
  json.end_object();
}

// Readiness follows the engines, not the thread that answers here.
void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const manager::ModelManager::Health health = services.manager->health();
  http::Response response;
  response.status = health.ready ? 200 : 503;
  JsonWriter json(response.body);
  json.begin_object();
  json.key("ready");
  json.boolean(health.ready);
  json.key("reason");
  if (health.ready) {
    json.null();
  } else {
    json.string(health.reason);
  }
  json.key("models");
  json.begin_array();
  for (const auto& model : services.manager->list()) write_engine(json, *model);
  json.end_array();
  write_model_serving(json, *services.manager);
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kReadyEndpoint;
const Endpoint kReadyEndpoint{
    .method = "GET",
    .path = "/ready",
    .summary =
        "Readiness: 503 with the reason while draining, without a model, or when an engine "
        "with work has made no progress for 10 seconds",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
