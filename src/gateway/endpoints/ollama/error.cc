#include "gateway/endpoints/ollama/error.h"

#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints::ollama {

std::string error_json(const Status& status) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("error", http::error_facts(status).message);
  json.end_object();
  return out;
}

http::Response error_response(const Status& status) {
  http::Response response = http::error_response(status);
  response.body = error_json(status);
  return response;
}

}  // namespace inferneo::gateway::endpoints::ollama
