#include "observe/metrics.h"
#include "gateway/endpoints/endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const auto models = services.manager->list();
  std::vector<observe::NamedModelMetrics> named;
  for (const auto& model : models) {
    const engine::EngineHealth health = model->engine->health();
    model->metrics->last_step_age_seconds.set(to_seconds(health.last_progress_age));
    named.push_back({model->name, model->metrics.get()});
  }
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = observe::exposition(*services.server_metrics, named);
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kMetricsEndpoint;
const Endpoint kMetricsEndpoint{
    .method = "GET",
    .path = "/metrics",
    .summary = "Metrics in the Prometheus text format",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
