// The types of request fields by name: a name means the same wherever it occurs, in all dialects.
// What the binders accept beyond the type (ranges, units) is in the notes of the fields.
// Thread: any.
#pragma once

#include <string_view>

#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints {

// The member "type" of a JSON schema; nothing for a name that may hold any value or is not known.
void write_field_type(JsonWriter& json, std::string_view name);

bool has_field_type(std::string_view name);

}  // namespace inferneo::gateway::endpoints
