#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/ollama/model_details.h"

namespace inferneo::gateway::endpoints {
namespace {

// Until when an idle model stays, for clients that want a date: beyond all of them.
constexpr std::string_view kNever = "9999-12-31T23:59:59Z";

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.key("models");
  json.begin_array();
  for (const auto& model : services.manager->list()) {
    json.begin_object();
    ollama::write_model_members(json, *model);
    json.member("expires_at", kNever);
    json.member("size_vram", 0);
    json.member("context_length", model->context_tokens_max);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kOllamaPsEndpoint;
const Endpoint kOllamaPsEndpoint{
    .method = "GET",
    .path = "/api/ps",
    .summary = "Ollama: the models in memory",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
