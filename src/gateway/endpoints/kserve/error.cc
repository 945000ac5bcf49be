#include "gateway/endpoints/kserve/error.h"

#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints::kserve {

http::Response error_response(const Status& status) {
  http::Response response = http::error_response(status);
  response.body.clear();
  JsonWriter json(response.body);
  json.begin_object();
  json.member("error", http::error_facts(status).message);
  json.end_object();
  return response;
}

std::string target_of(const Endpoint& endpoint, std::string_view path) {
  const std::string_view version = path_parameter(endpoint, path, "version");
  const std::string_view name = path_parameter(endpoint, path, "id");
  return version.empty() ? std::string(name) : str(name, ":", version);
}

}  // namespace inferneo::gateway::endpoints::kserve
