#include "app/settings_check.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "app/exposure.h"
#include "base/str.h"
#include "gateway/endpoints/reply_format.h"

namespace inferneo::app {
namespace {

namespace fs = std::filesystem;

bool is_served(const std::string& name, std::span<const ModelSpec> specs) {
  return std::ranges::any_of(specs, [&](const ModelSpec& spec) {
    return spec.name == name || spec.name.substr(0, spec.name.rfind(':')) == name;
  });
}

// Every name in the lists that are about models must be one that is served. `others`: more models
// may come from the catalog or a watched directory.
Status check_named_models(const Config& config, std::span<const ModelSpec> specs, bool others) {
  struct List {
    std::string_view key;
    const std::vector<std::string>& entries;
    bool is_map;  // NAME=VALUE, or a value for all
  };
  const List lists[] = {{"preload_models", config.preload_models, false},
                        {"pinned_models", config.pinned_models, false},
                        {"tool_format", config.tool_format, true},
                        {"reasoning_format", config.reasoning_format, true},
                        {"version_policy", config.version_policy, true}};
  for (const List& list : lists) {
    if (list.is_map && others) continue;
    for (const std::string& entry : list.entries) {
      const std::size_t equals = list.is_map ? entry.find('=') : entry.size();
      if (equals == std::string::npos || is_served(entry.substr(0, equals), specs)) continue;
      return invalid_argument(
                 str("'", printable(entry.substr(0, equals)), "' is not among the models to serve"))
          .with_where(std::string(list.key));
    }
  }
  return ok_status();
}

Status check_directory(std::string_view key, const std::string& path) {
  std::error_code error;
  if (path.empty() || fs::is_directory(fs::absolute(path, error), error)) return ok_status();
  return invalid_argument(str("'", printable(path, 256), "' is no directory"))
      .with_where(std::string(key));
}

}  // namespace

Result<std::vector<ModelSpec>> check_settings(const Config& config,
                                              const std::string& default_model,
                                              const std::string& catalog) {
  RETURN_IF_ERROR(check_exposure(config));
  RETURN_IF_ERROR(gateway::endpoints::check_reply_formats(
      {.tools = config.tool_format, .reasoning = config.reasoning_format}));
  RETURN_IF_ERROR(version_policies(config).status());
  RETURN_IF_ERROR(check_directory("model_root", config.model_root));
  RETURN_IF_ERROR(check_directory("watch_models", config.watch_models));
  std::vector<std::string> texts = config.models;
  const bool others = !catalog.empty() || !config.watch_models.empty();
  if (texts.empty() && catalog.empty() && !default_model.empty()) texts.push_back(default_model);
  if (texts.empty() && !others) {
    return invalid_argument("no model to serve")
        .with_hint(
            "name one: `inferneo serve /models/llama`, or `models:` in the configuration; or "
            "register one: `inferneo models register NAME=PATH`; or --watch-models DIR");
  }
  ASSIGN_OR_RETURN(std::vector<ModelSpec> specs, parse_model_specs(texts));
  if (specs.empty()) return specs;
  RETURN_IF_ERROR(check_named_models(config, specs, others));
  return specs;
}

// POLICY, or NAME=POLICY; by name, empty for all.
Result<std::map<std::string, manager::VersionPolicy>> version_policies(const Config& config) {
  std::map<std::string, manager::VersionPolicy> policies;
  for (const std::string& entry : config.version_policy) {
    const std::size_t equals = entry.find('=');
    const std::string name = equals == std::string::npos ? std::string() : entry.substr(0, equals);
    const std::string policy = equals == std::string::npos ? entry : entry.substr(equals + 1);
    Result<manager::VersionPolicy> parsed = manager::parse_version_policy(policy);
    if (!parsed.has_value()) return Status(parsed.error()).with_where("version_policy");
    policies[name] = *std::move(parsed);
  }
  return policies;
}

std::string settings_text(const Config& config) {
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    const std::string value = config_value_text(config, key);
    if (key.kind == ConfigKind::kList) {
      text += str(key.name, ": [", value, "]\n");
    } else {
      text += str(key.name, ": ", value.empty() ? "\"\"" : value, "\n");
    }
  }
  return text;
}

}  // namespace inferneo::app
