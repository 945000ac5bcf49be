#include "observe/metrics.h"
#include "gateway/endpoints/endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const std::vector<manager::VersionInfo> versions = services.manager->versions();
  std::vector<observe::NamedModelMetrics> named;
  for (const manager::VersionInfo& version : versions) {
    if (version.metrics == nullptr) continue;
    if (version.model != nullptr) {
      const engine::EngineHealth health = version.model->engine->health();
      version.model->metrics->last_step_age_seconds.set(to_seconds(health.last_progress_age));
    }
    named.push_back({.model_name = version.name,
                     .metrics = version.metrics.get(),
                     .version = version.path.empty() ? "" : version.version});
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
