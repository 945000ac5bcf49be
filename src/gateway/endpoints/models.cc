#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/model_json.h"

namespace inferneo::gateway::endpoints {
namespace {

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("object", "list");
  json.key("data");
  json.begin_array();
  const std::vector<manager::VersionInfo> all = services.manager->versions();
  for (std::size_t at = 0; at < all.size();) {
    const auto versions = versions_at(all, at);
    const manager::VersionInfo& live = live_version(versions);
    if (live.served) write_model(json, live.name, live, versions);
    at += versions.size();
  }
  for (const manager::AliasInfo& alias : services.manager->aliases()) {
    const Result<manager::VersionInfo> target = services.manager->find(alias.target);
    if (target.has_value()) write_model(json, alias.alias, *target, std::span(&*target, 1));
  }
  json.end_array();
  json.end_object();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kModelsEndpoint;
const Endpoint kModelsEndpoint{
    .method = "GET",
    .path = "/v1/models",
    .summary = "The models, with their versions and states, and the aliases; loaded or not",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
