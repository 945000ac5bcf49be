#include "base/version.h"

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services&, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("version", version());
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kOllamaVersionEndpoint;
const Endpoint kOllamaVersionEndpoint{
    .method = "GET",
    .path = "/api/version",
    .summary = "Ollama: the version of this server",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
