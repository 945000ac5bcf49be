// The query of a request's target: name=value pairs, percent-decoded.
// Spec: WHATWG URL standard, application/x-www-form-urlencoded.
// Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace inferneo::gateway::endpoints {

// The first value of that name; none when it does not occur.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

// The names in a query, in its order.
std::vector<std::string> query_names(std::string_view query);

// The same as an integer in a range. Failures: invalid_argument at `name`.
Result<std::int64_t> query_integer(std::string_view query,
                                   std::string_view name,
                                   std::int64_t min,
                                   std::int64_t max,
                                   std::int64_t initial);

}  // namespace inferneo::gateway::endpoints
