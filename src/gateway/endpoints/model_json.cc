#include "gateway/endpoints/model_json.h"

namespace inferneo::gateway::endpoints {

void write_model(JsonWriter& json,
                 std::string_view id,
                 const manager::VersionInfo& chosen,
                 std::span<const manager::VersionInfo> versions) {
  json.begin_object();
  json.member("id", id);
  json.member("object", "model");
  json.member("created", chosen.created_unix_seconds);
  json.member("owned_by", "inferneo");
  json.key("max_model_len");
  if (chosen.context_tokens_max > 0) {
    json.integer(chosen.context_tokens_max);
  } else {
    json.null();
  }
  json.member("version", chosen.version);
  json.member("state", manager::version_state_name(chosen.state));
  json.key("versions");
  json.begin_array();
  for (const manager::VersionInfo& version : versions) {
    if (!version.served) continue;
    json.begin_object();
    json.member("version", version.version);
    json.member("state", manager::version_state_name(version.state));
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

std::span<const manager::VersionInfo> versions_at(std::span<const manager::VersionInfo> all,
                                                  std::size_t begin) {
  std::size_t end = begin;
  while (end < all.size() && all[end].name == all[begin].name) ++end;
  return all.subspan(begin, end - begin);
}

const manager::VersionInfo& live_version(std::span<const manager::VersionInfo> versions) {
  for (const manager::VersionInfo& version : versions) {
    if (version.live) return version;
  }
  return versions.back();
}

}  // namespace inferneo::gateway::endpoints
