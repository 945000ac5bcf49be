#include "gateway/endpoints/path_pattern.h"

namespace inferneo::gateway::endpoints {
namespace {

bool match_rest(std::string_view pattern, std::string_view path, PathParameters& parameters) {
  const std::size_t open = pattern.find('{');
  if (open == std::string_view::npos) return pattern == path;
  if (!path.starts_with(pattern.substr(0, open))) return false;
  path.remove_prefix(open);
  const std::size_t close = pattern.find('}', open);
  const std::string_view name = pattern.substr(open + 1, close - open - 1);
  pattern.remove_prefix(close + 1);
  if (pattern.empty()) {
    if (path.empty()) return false;
    parameters.emplace_back(name, path);
    return true;
  }
  // What follows a parameter is literal up to the next one.
  const std::string_view next = pattern.substr(0, pattern.find('{'));
  for (std::size_t at = path.find(next, 1); at != std::string_view::npos;
       at = path.find(next, at + 1)) {
    const std::size_t known = parameters.size();
    parameters.emplace_back(name, path.substr(0, at));
    if (match_rest(pattern, path.substr(at), parameters)) return true;
    parameters.resize(known);
  }
  return false;
}

}  // namespace

std::optional<PathParameters> match_path(std::string_view pattern, std::string_view path) {
  PathParameters parameters;
  if (!match_rest(pattern, path, parameters)) return std::nullopt;
  return parameters;
}

std::size_t literal_size(std::string_view pattern) {
  std::size_t size = 0;
  bool in_name = false;
  for (const char c : pattern) {
    in_name = in_name || c == '{';
    if (!in_name) ++size;
    if (c == '}') in_name = false;
  }
  return size;
}

}  // namespace inferneo::gateway::endpoints
