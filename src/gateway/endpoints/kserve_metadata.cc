#include "base/version.h"

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services&, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("name", "inferneo");
  json.member("version", version());
  json.key("extensions");
  json.begin_array();
  json.string("generate");
  json.end_array();
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kKserveMetadataEndpoint;
const Endpoint kKserveMetadataEndpoint{
    .method = "GET",
    .path = "/v2",
    .summary = "Open Inference Protocol: what the server is",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
