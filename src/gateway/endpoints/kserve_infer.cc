// Inference over named tensors. Language models have none: they answer what to use instead.
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/kserve/error.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle_model(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_version(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kKserveInferEndpoint;
const Endpoint kKserveInferEndpoint{
    .method = "POST",
    .path = "/v2/models/{id}/infer",
    .summary = "Open Inference Protocol: inference over named tensors, which language models lack",
    .handle = handle_model,
    .body_type = "",
};

extern const Endpoint kKserveInferVersionEndpoint;
const Endpoint kKserveInferVersionEndpoint{
    .method = "POST",
    .path = "/v2/models/{id}/versions/{version}/infer",
    .summary = "Open Inference Protocol: the same of one version of a model",
    .handle = handle_version,
    .body_type = "",
};

namespace {

void answer(const Services& services, http::Exchange& exchange, const Endpoint& endpoint) {
  const std::string target = kserve::target_of(endpoint, exchange.request().head.path);
  const Result<manager::Lease> lease = services.manager->acquire(target);
  if (!lease.has_value()) {
    exchange.respond(kserve::error_response(lease.error()));
    return;
  }
  exchange.respond(kserve::error_response(
      unsupported(str("model '", lease->model().name, "' has no named tensors"))
          .with_where("model")
          .with_hint("send its text to generate, generate_stream or /v1/completions")));
}

void handle_model(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, *exchange, kKserveInferEndpoint);
}
void handle_version(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, *exchange, kKserveInferVersionEndpoint);
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
