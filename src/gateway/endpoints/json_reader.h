// Request bodies to values. Stricter than the format: depth, number of values and duplicate names
// are bounded before anything is built from them.
// Thread: any.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// Integers stay integers; one beyond 64 bits signed becomes a double.
// Failures: invalid_argument saying what is wrong with the document.
Result<text::Value> parse_json(std::string_view body);

// The same, for a body that must be an object.
Result<text::Value::Dict> parse_json_object(std::string_view body);

}  // namespace inferneo::gateway::endpoints
