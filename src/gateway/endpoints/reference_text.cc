#include "gateway/endpoints/reference_text.h"

#include <algorithm>
#include <cctype>

namespace inferneo::gateway::endpoints {

std::vector<std::string_view> path_parameter_names(std::string_view path) {
  std::vector<std::string_view> names;
  for (std::size_t open = path.find('{'); open != std::string_view::npos;
       open = path.find('{', open + 1)) {
    names.push_back(path.substr(open + 1, path.find('}', open) - open - 1));
  }
  return names;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<FieldRow> request_fields(const Endpoint& endpoint) {
  std::vector<FieldRow> rows;
  if (endpoint.fields == nullptr) return rows;
  for (const FieldRow& row : endpoint.fields()) {
    const bool is_known = std::any_of(
        rows.begin(), rows.end(), [&](const FieldRow& known) { return known.name == row.name; });
    if (!is_known) rows.push_back(row);
  }
  return rows;
}

std::string operation_id(const Endpoint& endpoint) {
  std::string id = lower_case(endpoint.method);
  for (const char c : endpoint.path) {
    const bool is_name = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (is_name) {
      id += c;
    } else if (id.back() != '_') {
      id += '_';
    }
  }
  while (id.back() == '_') id.pop_back();
  return id;
}

std::string_view group_of(std::string_view path) {
  if (path.starts_with("/v1/messages")) return "Anthropic";
  if (path.starts_with("/api/v1/")) return "Management";
  if (path.starts_with("/api/")) return "Ollama";
  if (path.starts_with("/v2") && path != "/v2/rerank") return "Open Inference Protocol";
  if (path.starts_with("/v1/files") || path.starts_with("/v1/batches") ||
      path.ends_with("/batch")) {
    return "Batch";
  }
  if (path.starts_with("/v1/") || path.find("rerank") != std::string_view::npos ||
      path.find("score") != std::string_view::npos) {
    return "OpenAI";
  }
  return "Server";
}

}  // namespace inferneo::gateway::endpoints
