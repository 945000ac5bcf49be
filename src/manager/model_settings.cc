#include "manager/model_settings.h"

#include <algorithm>
#include <iterator>

#include "base/str.h"

namespace inferneo::manager {
namespace {

// Keys of the engine scope that belong to the process and not to one of its models.
constexpr std::string_view kProcessKeys[] = {"threads",
                                             "pin_threads",
                                             "isa",
                                             "packed_cache_dir",
                                             "packed_cache_bytes_max",
                                             "log_level",
                                             "log_format"};

bool is_model_key(const ConfigKey& key) {
  return key.scope == ConfigScope::kEngine && key.kind != ConfigKind::kList &&
         std::ranges::find(kProcessKeys, key.name) == std::end(kProcessKeys);
}

Status unknown_setting(std::string_view name) {
  const std::vector<std::string_view> names = model_setting_names();
  const std::string_view near = nearest_name(name, names);
  std::string hint = "a model may have its own";
  for (const std::string_view known : names) hint += str(known == names[0] ? " " : ", ", known);
  return invalid_argument(str("'", printable(name), "' is no setting of a model"))
      .with_where("config")
      .with_hint(near.empty() ? hint : str("did you mean '", near, "'?"));
}

}  // namespace

std::vector<std::string_view> model_setting_names() {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) {
    if (is_model_key(key)) names.push_back(key.name);
  }
  return names;
}

Result<ModelSettings> checked_settings(ModelSettings settings) {
  std::ranges::sort(settings);
  Config config;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto& [name, value] = settings[i];
    const ConfigKey* key = find_config_key(name);
    if (key == nullptr || !is_model_key(*key)) return unknown_setting(name);
    if (i > 0 && settings[i - 1].first == name) {
      return invalid_argument(str("'", printable(name), "' is set twice")).with_where("config");
    }
    if (Status status = set_config_value(config, *key, value); !status.ok()) {
      return std::move(status).with_where("config");
    }
  }
  return settings;
}

Config with_settings(Config config, const ModelSettings& settings) {
  for (const auto& [name, value] : settings) {
    // Checked when it was recorded; where a key has gone or its range has shrunk since, the general
    // value stays.
    const ConfigKey* key = find_config_key(name);
    if (key == nullptr) continue;
    [[maybe_unused]] const Status status = set_config_value(config, *key, value);
  }
  return config;
}

}  // namespace inferneo::manager
