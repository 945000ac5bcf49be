// The OpenAPI document: its structure by the rules of 3.1, and that nothing of the tables is
// missing.
#include <algorithm>

#include "fake_service.h"
#include "gateway/endpoints/field_types.h"

namespace inferneo::api_test {
namespace {

using gateway::endpoints::Endpoint;
using gateway::endpoints::endpoint_table;
using gateway::endpoints::FieldRow;
using gateway::endpoints::FieldUse;

json document(FakeService& service) {
  const auto response = service.get("/openapi.json");
  EXPECT_EQ(response.content_type, "application/json");
  return json::parse(response.body, nullptr, false);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return out;
}

TEST(openapi, has_the_required_structure) {
  FakeService service;
  const json api = document(service);
  ASSERT_TRUE(api.is_object());
  EXPECT_EQ(api["openapi"], "3.1.0");
  EXPECT_TRUE(api["info"]["title"].is_string());
  EXPECT_TRUE(api["info"]["version"].is_string());
  const std::set<std::string> members{"openapi", "info", "servers", "paths", "components"};
  for (const auto& [name, value] : api.items()) EXPECT_TRUE(members.contains(name)) << name;
  std::set<std::string> ids;
  for (const auto& [path, item] : api["paths"].items()) {
    EXPECT_EQ(path.front(), '/');
    for (const auto& [method, operation] : item.items()) {
      const std::set<std::string> methods{"get", "post", "put", "delete", "patch"};
      EXPECT_TRUE(methods.contains(method)) << path << method;
      EXPECT_TRUE(ids.insert(operation["operationId"].get<std::string>()).second)
          << operation["operationId"];
      EXPECT_TRUE(operation["summary"].is_string());
      EXPECT_TRUE(operation["tags"].is_array());
      // Every response has a description, and every reference a target.
      for (const auto& [status, response] : operation["responses"].items()) {
        EXPECT_TRUE(response["description"].is_string()) << status;
      }
      const json& error =
          operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"];
      EXPECT_TRUE(api.contains(json::json_pointer(error.get<std::string>().substr(1))));
      // Each parameter of the path is declared, and required as 3.1 demands.
      std::size_t count = 0;
      for (std::size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
        const std::string name = path.substr(at + 1, path.find('}', at) - at - 1);
        const json& parameter = operation["parameters"][count++];
        EXPECT_EQ(parameter["name"], name);
        EXPECT_EQ(parameter["in"], "path");
        EXPECT_EQ(parameter["required"], true);
        EXPECT_EQ(parameter["schema"]["type"], "string");
      }
      EXPECT_EQ(operation.contains("parameters") ? operation["parameters"].size() : 0, count);
    }
  }
}

TEST(openapi, every_endpoint_and_every_field_is_there) {
  FakeService service;
  const json api = document(service);
  std::size_t operations = 0;
  for (const auto& [path, item] : api["paths"].items()) operations += item.size();
  EXPECT_EQ(operations, endpoint_table().size());
  for (const Endpoint* endpoint : endpoint_table()) {
    const std::string path(endpoint->path);
    ASSERT_TRUE(api["paths"].contains(path)) << path;
    ASSERT_TRUE(api["paths"][path].contains(lower(endpoint->method))) << path;
    const json& operation = api["paths"][path][lower(endpoint->method)];
    EXPECT_EQ(operation["summary"], std::string(endpoint->summary));
    EXPECT_EQ(operation.contains("requestBody"), endpoint->fields != nullptr) << path;
    if (endpoint->fields == nullptr) continue;
    const json& content = operation["requestBody"]["content"];
    ASSERT_EQ(content.size(), 1U);
    const json& schema = content.begin().value()["schema"];
    EXPECT_EQ(schema["additionalProperties"], false);
    std::set<std::string> seen;
    for (const FieldRow& row : endpoint->fields()) {
      const std::string name(row.name);
      // An endpoint's own rows come before the shared ones and replace them.
      if (!seen.insert(name).second) continue;
      EXPECT_EQ(schema["properties"].contains(name), row.use != FieldUse::kRefused) << path << name;
      if (row.use == FieldUse::kRefused) {
        EXPECT_NE(schema["description"].get<std::string>().find(name), std::string::npos);
        continue;
      }
      EXPECT_TRUE(gateway::endpoints::has_field_type(row.name))
          << name << " of " << path << " has no row in field_types.cc";
      EXPECT_TRUE(schema["properties"][name]["description"].is_string());
    }
  }
}

TEST(openapi, the_page_needs_nothing_from_elsewhere) {
  FakeService service;
  const auto response = service.get("/docs");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
  for (const char* part : {"http://", "https://", "<script", "<link", "<img", "src="}) {
    EXPECT_EQ(response.body.find(part), std::string::npos) << part;
  }
  for (const Endpoint* endpoint : endpoint_table()) {
    const std::string title = str(endpoint->method, " ", endpoint->path);
    EXPECT_NE(response.body.find(title), std::string::npos) << title;
  }
}

}  // namespace
}  // namespace inferneo::api_test
