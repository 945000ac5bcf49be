#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {
namespace {

// What a person who opens the address in a browser sees.
void handle(const Services&, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("name", "inferneo");
  json.key("endpoints");
  json.begin_array();
  for (const Endpoint* endpoint : endpoint_table()) {
    json.begin_object();
    json.member("method", endpoint->method);
    json.member("path", endpoint->path);
    json.member("summary", endpoint->summary);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kRootEndpoint;
const Endpoint kRootEndpoint{
    .method = "GET",
    .path = "/",
    .summary = "The list of endpoints",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
