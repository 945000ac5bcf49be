#include <chrono>
#include <string>

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/ollama/model_details.h"
#include "gateway/endpoints/ollama/request.h"

namespace inferneo::gateway::endpoints {
namespace {

// Until when an idle model stays that stays until memory is needed, for clients that want a date.
constexpr std::string_view kNever = "9999-12-31T23:59:59Z";

std::string expiry_of(const manager::VersionInfo& version) {
  if (!version.expires_seconds) return std::string(kNever);
  using Clock = std::chrono::system_clock;
  return ollama::timestamp(Clock::now() +
                           std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(*version.expires_seconds)));
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.key("models");
  json.begin_array();
  for (const manager::VersionInfo& version : services.manager->versions()) {
    if (version.model == nullptr) continue;
    json.begin_object();
    ollama::write_model_members(json, version);
    json.member("expires_at", expiry_of(version));
    json.member("size_vram", 0);
    json.member("context_length", version.model->context_tokens_max);
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
