// The reference of endpoints as Markdown, from the same tables that serve them.
#include <algorithm>
#include <array>
#include <vector>

#include "base/str.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/reference_text.h"

namespace inferneo::gateway::endpoints {
namespace {

void append_fields(std::string& out, std::vector<FieldRow> rows) {
  struct Section {
    FieldUse use;
    std::string_view title;
    std::string_view column;
  };
  constexpr std::array<Section, 3> kSections{
      Section{FieldUse::kWorks, "Fields", "Values"},
      Section{FieldUse::kNoEffect, "Accepted without effect", "Why"},
      Section{FieldUse::kRefused, "Refused by name", "Why"}};
  for (const Section& section : kSections) {
    bool begun = false;
    for (const FieldRow& row : rows) {
      if (row.use != section.use) continue;
      if (!begun) {
        out += str("\n", section.title, ":\n\n| field | ", section.column, " |\n|---|---|\n");
        begun = true;
      }
      out += str("| `", row.name, "` | ", row.note, " |\n");
    }
  }
}

}  // namespace

std::string endpoint_reference_markdown() {
  std::vector<const Endpoint*> endpoints(endpoint_table().begin(), endpoint_table().end());
  std::sort(endpoints.begin(), endpoints.end(), [](const Endpoint* a, const Endpoint* b) {
    return std::pair(a->path, a->method) < std::pair(b->path, b->method);
  });
  std::string out =
      "# Endpoints\n\n"
      "A field that is null counts as absent. A field that is not listed is refused with status "
      "400, which names it.\n\n| method | path | what it does |\n|---|---|---|\n";
  for (const Endpoint* endpoint : endpoints) {
    out += str("| ", endpoint->method, " | `", endpoint->path, "` | ", endpoint->summary, " |\n");
  }
  for (const Endpoint* endpoint : endpoints) {
    if (endpoint->fields == nullptr) continue;
    out += str("\n## ", endpoint->method, " ", endpoint->path, "\n\n", endpoint->summary, ".\n");
    append_fields(out, request_fields(*endpoint));
  }
  return out;
}

}  // namespace inferneo::gateway::endpoints
