#include <string>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/model_json.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kModelEndpoint;
const Endpoint kModelEndpoint{
    .method = "GET",
    .path = "/v1/models/{id}",
    .summary = "One served model; its name may hold slashes",
    .handle = handle,
};

namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const std::string_view name = path_id(kModelEndpoint, exchange->request().head.path);
  const Result<manager::VersionInfo> found = services.manager->find(name);
  if (!found.has_value()) {
    exchange->respond(http::error_response(found.error()));
    return;
  }
  const std::vector<manager::VersionInfo> all = services.manager->versions();
  std::size_t at = 0;
  while (at < all.size() && all[at].name != found->name) ++at;
  http::Response response;
  JsonWriter json(response.body);
  write_model(json, name, *found, versions_at(all, at));
  exchange->respond(std::move(response));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
