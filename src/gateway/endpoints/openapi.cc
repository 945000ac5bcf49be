// The OpenAPI document, made of the tables that validate requests.
// Spec: OpenAPI 3.1.0.
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "base/version.h"

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/field_types.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/reference_text.h"

namespace inferneo::gateway::endpoints {
namespace {

void write_property(JsonWriter& json, const FieldRow& row) {
  json.key(row.name);
  json.begin_object();
  write_field_type(json, row.name);
  const bool no_effect = row.use == FieldUse::kNoEffect;
  json.member("description",
              no_effect ? str("Accepted without effect: ", row.note) : std::string(row.note));
  json.end_object();
}

// Fields that are refused are no part of the schema; the description names them.
void write_schema(JsonWriter& json, const std::vector<FieldRow>& rows) {
  json.begin_object();
  json.member("type", "object");
  std::string refused;
  for (const FieldRow& row : rows) {
    if (row.use != FieldUse::kRefused) continue;
    refused += str(refused.empty() ? "Refused by name: " : "; ", row.name, " (", row.note, ")");
  }
  if (!refused.empty()) json.member("description", refused);
  json.key("properties");
  json.begin_object();
  for (const FieldRow& row : rows) {
    if (row.use != FieldUse::kRefused) write_property(json, row);
  }
  json.end_object();
  json.key("additionalProperties");
  json.boolean(false);
  json.end_object();
}

void write_body(JsonWriter& json, const Endpoint& endpoint) {
  if (endpoint.fields == nullptr) return;
  json.key("requestBody");
  json.begin_object();
  json.key("required");
  json.boolean(true);
  json.key("content");
  json.begin_object();
  json.key(endpoint.body_type.empty() ? "application/json" : endpoint.body_type);
  json.begin_object();
  json.key("schema");
  write_schema(json, request_fields(endpoint));
  json.end_object();
  json.end_object();
  json.end_object();
}

void write_parameters(JsonWriter& json, std::string_view path) {
  const std::vector<std::string_view> names = path_parameter_names(path);
  if (names.empty()) return;
  json.key("parameters");
  json.begin_array();
  for (const std::string_view name : names) {
    json.begin_object();
    json.member("name", name);
    json.member("in", "path");
    json.key("required");
    json.boolean(true);
    json.member("description", "May hold slashes, as names of models do");
    json.key("schema");
    json.members(R"({"type":"string"})");
    json.end_object();
  }
  json.end_array();
}

void write_operation(JsonWriter& json, const Endpoint& endpoint) {
  json.key(lower_case(endpoint.method));
  json.begin_object();
  json.member("operationId", operation_id(endpoint));
  json.member("summary", endpoint.summary);
  json.key("tags");
  json.begin_array();
  json.string(group_of(endpoint.path));
  json.end_array();
  write_parameters(json, endpoint.path);
  write_body(json, endpoint);
  json.key("responses");
  json.members(
      R"({"200":{"description":"The answer"},"default":{"description":"A failure",)"
      R"("content":{"application/json":{"schema":{"$ref":"#/components/schemas/Error"}}}}})");
  json.end_object();
}

// Spec: the shape of OpenAI's errors; dialects have their own, which are objects too.
constexpr std::string_view kComponents =
    R"({"schemas":{"Error":{"type":"object","properties":{"error":{"description":"OpenAI: an )"
    R"(object; Ollama and the Open Inference Protocol: a sentence; Anthropic: type and message",)"
    R"("anyOf":[{"type":"object","properties":{"message":{"type":"string"},"type":{"type":)"
    R"("string"},"param":{"type":["string","null"]},"code":{"type":["string","null"]}},)"
    R"("required":["message","type"]},{"type":"string"}]}},"required":["error"]}}})";

std::string document() {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("openapi", "3.1.0");
  json.key("info");
  json.begin_object();
  json.member("title", "Inferneo");
  json.member("version", version());
  json.member("description",
              "Language models over the APIs of OpenAI, Anthropic, Ollama and the Open Inference "
              "Protocol. A field that is null counts as absent; one that is not listed is refused "
              "with status 400.");
  json.end_object();
  json.key("servers");
  json.members(R"([{"url":"/"}])");
  json.key("paths");
  json.begin_object();
  std::map<std::string_view, std::vector<const Endpoint*>> paths;
  for (const Endpoint* endpoint : endpoint_table()) paths[endpoint->path].push_back(endpoint);
  for (const auto& [path, endpoints] : paths) {
    json.key(path);
    json.begin_object();
    for (const Endpoint* endpoint : endpoints) write_operation(json, *endpoint);
    json.end_object();
  }
  json.end_object();
  json.key("components");
  json.members(kComponents);
  json.end_object();
  return out;
}

void handle(const Services&, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  response.body = document();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kOpenapiEndpoint;
const Endpoint kOpenapiEndpoint{
    .method = "GET",
    .path = "/openapi.json",
    .summary = "This API as an OpenAPI 3.1 document",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints
