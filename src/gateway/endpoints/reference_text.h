// Names that the references of the API share.
// Thread: any (pure functions).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/endpoints/endpoint.h"

namespace inferneo::gateway::endpoints {

// "id" and "version" of "/v2/models/{id}/versions/{version}".
std::vector<std::string_view> path_parameter_names(std::string_view path);

std::string lower_case(std::string_view text);

// The fields of its body, of several rows of one name the first: that is the one that is bound.
std::vector<FieldRow> request_fields(const Endpoint& endpoint);

// Unique: "post_v1_chat_completions".
std::string operation_id(const Endpoint& endpoint);

// Whose API a path belongs to.
std::string_view group_of(std::string_view path);

}  // namespace inferneo::gateway::endpoints
