// What one model is, and whether it takes requests.
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/kserve/error.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle_model(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_version(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_model_ready(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_version_ready(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kKserveModelEndpoint;
const Endpoint kKserveModelEndpoint{
    .method = "GET",
    .path = "/v2/models/{id}",
    .summary = "Open Inference Protocol: name, platform, inputs and outputs of a model",
    .handle = handle_model,
};

extern const Endpoint kKserveModelVersionEndpoint;
const Endpoint kKserveModelVersionEndpoint{
    .method = "GET",
    .path = "/v2/models/{id}/versions/{version}",
    .summary = "Open Inference Protocol: the same of one version of it",
    .handle = handle_version,
};

extern const Endpoint kKserveModelReadyEndpoint;
const Endpoint kKserveModelReadyEndpoint{
    .method = "GET",
    .path = "/v2/models/{id}/ready",
    .summary =
        "Open Inference Protocol: 200 when the model is in memory and takes requests, else 4xx",
    .handle = handle_model_ready,
};

extern const Endpoint kKserveModelVersionReadyEndpoint;
const Endpoint kKserveModelVersionReadyEndpoint{
    .method = "GET",
    .path = "/v2/models/{id}/versions/{version}/ready",
    .summary = "Open Inference Protocol: the same of one version of it",
    .handle = handle_version_ready,
};

namespace {

void write_tensor(JsonWriter& json, std::string_view name) {
  json.begin_array();
  json.begin_object();
  json.member("name", name);
  json.member("datatype", "BYTES");
  json.key("shape");
  json.members("[1]");
  json.end_object();
  json.end_array();
}

// A language model has no tensors of its own; these are the ones of generate. `version`: the only
// one to name; empty for all that requests may ask for.
http::Response describe(const Services& services,
                        const manager::ServedModel& model,
                        std::string_view version) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("name", model.name);
  json.key("versions");
  json.begin_array();
  if (!version.empty()) json.string(version);
  for (const manager::VersionInfo& known : services.manager->versions()) {
    if (version.empty() && known.served && known.name == model.name) json.string(known.version);
  }
  json.end_array();
  json.member("platform", str("inferneo_", model.model->info().architecture));
  json.key("inputs");
  write_tensor(json, "text_input");
  json.key("outputs");
  write_tensor(json, "text_output");
  json.end_object();
  return response;
}

http::Response ready(std::string_view name) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("name", name);
  json.key("ready");
  json.boolean(true);
  json.end_object();
  return response;
}

void answer(const Services& services,
            http::Exchange& exchange,
            const Endpoint& endpoint,
            bool asks_ready) {
  const std::string& path = exchange.request().head.path;
  const Result<manager::Lease> lease = services.manager->acquire(kserve::target_of(endpoint, path));
  if (!lease.has_value()) {
    http::Response refused = kserve::error_response(lease.error());
    // Spec: what is not ready answers 4xx.
    if (asks_ready && refused.status >= 500) refused.status = 400;
    exchange.respond(std::move(refused));
    return;
  }
  exchange.respond(
      asks_ready ? ready(lease->model().name)
                 : describe(services, lease->model(), path_parameter(endpoint, path, "version")));
}

void handle_model(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, *exchange, kKserveModelEndpoint, false);
}
void handle_version(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, *exchange, kKserveModelVersionEndpoint, false);
}
void handle_model_ready(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, *exchange, kKserveModelReadyEndpoint, true);
}
void handle_version_ready(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  answer(services, *exchange, kKserveModelVersionReadyEndpoint, true);
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
