// The path of an endpoint as a pattern: literal text with parameters in braces, for example
// "/v1/files/{id}/content". A parameter stands for at least one byte and may hold slashes, because
// names of models do.
// Thread: any (pure functions).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace inferneo::gateway::endpoints {

// Names and values of the parameters, in order; none when the path does not match. Where several
// splits are possible, an earlier parameter is as short as can be.
using PathParameters = std::vector<std::pair<std::string_view, std::string_view>>;
std::optional<PathParameters> match_path(std::string_view pattern, std::string_view path);

// How much of a pattern is literal: of several that match, the one with more is meant.
std::size_t literal_size(std::string_view pattern);

}  // namespace inferneo::gateway::endpoints
