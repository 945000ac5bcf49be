#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/ollama/model_details.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.key("models");
  json.begin_array();
  for (const manager::VersionInfo& version : services.manager->versions()) {
    if (!version.served) continue;
    json.begin_object();
    if (version.model != nullptr) {
      ollama::write_model_members(json, version);
    } else {
      ollama::write_unloaded_members(json, version);
    }
    json.end_object();
  }
  json.end_array();
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kOllamaTagsEndpoint;
const Endpoint kOllamaTagsEndpoint{
    .method = "GET",
    .path = "/api/tags",
    .summary = "Ollama: the served models, loaded or not",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
