// Where configuration values come from: flags win over INFERNEO_* variables, these over the YAML
// file, that over the defaults. Every failure says where the value was written: file and line, the
// variable, or the flag.
// Thread: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/result.h"

namespace inferneo::app {

struct FlagValue {
  const ConfigKey* key = nullptr;
  std::vector<std::string> values;  // several only for lists
};

struct ConfigSources {
  std::string file;  // empty: INFERNEO_CONFIG, or none
  // "NAME=value" entries, as the process gets them.
  std::vector<std::string_view> environment;
  std::vector<FlagValue> flags;
};

// Failures: invalid_argument with where() = "file.yaml:3", "INFERNEO_PORT" or "--port"; not_found
// for the file.
Result<Config> read_config(const ConfigSources& sources);

// Applies one YAML document. `name` is for messages.
Status apply_yaml(Config& config, const std::string& text, std::string_view name);

// The environment of this process.
std::vector<std::string_view> process_environment();

// "kv_cache_mib" <-> "--kv-cache-mib" and "INFERNEO_KV_CACHE_MIB".
std::string flag_name(std::string_view key);
std::string variable_name(std::string_view key);

}  // namespace inferneo::app
