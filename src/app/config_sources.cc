#include "app/config_sources.h"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "base/mapped_file.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

constexpr std::string_view kPrefix = "INFERNEO_";
constexpr std::string_view kFileVariable = "INFERNEO_CONFIG";
// Of the verbs that ask a server which one, see --address.
constexpr std::string_view kAddressVariable = "INFERNEO_ADDRESS";
// Of the project's own tests; they reach the program through inheritance.
constexpr std::string_view kTestProgramVariable = "INFERNEO_PROGRAM";
constexpr std::string_view kTestPrefix = "INFERNEO_TEST_";

std::string position(std::string_view name, const YAML::Mark& mark) {
  return str(name, ":", mark.line + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// A list is a sequence of texts, or a map from name to path, which reads as NAME=PATH.
Result<std::vector<std::string>> list_items(const ConfigKey& key, const YAML::Node& node) {
  std::vector<std::string> items;
  for (const auto& item : node) {
    if (node.IsMap() && item.first.IsScalar() && item.second.IsScalar()) {
      items.push_back(str(item.first.Scalar(), "=", item.second.Scalar()));
    } else if (node.IsSequence() && item.IsScalar()) {
      items.push_back(item.Scalar());
    } else {
      return invalid_argument(str(key.name, ": every item of the list must be one text"));
    }
  }
  return items;
}

Status apply_yaml_value(Config& config, const ConfigKey& key, const YAML::Node& value) {
  if (value.IsScalar()) {
    if (key.kind == ConfigKind::kList) return set_config_list(config, key, {value.Scalar()});
    return set_config_value(config, key, value.Scalar());
  }
  if (key.kind != ConfigKind::kList || !value.IsDefined() || value.IsNull()) {
    return invalid_argument(
        str(key.name, ": needs one value (", config_range(key), "), not a list, a map or nothing"));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> items, list_items(key, value));
  return set_config_list(config, key, std::move(items));
}

Status apply_yaml_map(Config& config, const YAML::Node& root, std::string_view name) {
  std::set<std::string> seen;
  for (const auto& entry : root) {
    const std::string where = position(name, entry.first.Mark());
    if (!entry.first.IsScalar()) return invalid_argument("a key must be a name").with_where(where);
    const std::string& id = entry.first.Scalar();
    const ConfigKey* key = find_config_key(id);
    if (key == nullptr) return unknown_config_key(id).with_where(where);
    if (!seen.insert(id).second) {
      return invalid_argument(str(id, ": is set twice in this file")).with_where(where);
    }
    Status status = apply_yaml_value(config, *key, entry.second);
    if (!status.ok()) return std::move(status).with_where(where);
  }
  return ok_status();
}

// True for variables that begin like a key but are not one.
bool is_reserved(std::string_view name) {
  return name == kFileVariable || name == kAddressVariable || name == kTestProgramVariable ||
         name.starts_with(kTestPrefix);
}

// The name of the flag or variable says which key it is; a message need not repeat it.
Status written_at(const Status& status, const ConfigKey& key, std::string where) {
  std::string message = status.message();
  if (const std::string begin = str(key.name, ": "); message.starts_with(begin)) {
    message.erase(0, begin.size());
  }
  return Status(status.code(), std::move(message), status.hint()).with_where(std::move(where));
}

Status apply_environment(Config& config, std::span<const std::string_view> environment) {
  for (const std::string_view entry : environment) {
    const std::size_t equals = entry.find('=');
    const std::string_view name = entry.substr(0, equals);
    const bool is_key = name.starts_with(kPrefix) && !is_reserved(name);
    if (!is_key || equals == std::string_view::npos) continue;
    const std::string id = lower(name.substr(kPrefix.size()));
    const ConfigKey* key = find_config_key(id);
    if (key == nullptr) return unknown_config_key(id).with_where(std::string(name));
    const Status status = set_config_value(config, *key, entry.substr(equals + 1));
    if (!status.ok()) return written_at(status, *key, std::string(name));
  }
  return ok_status();
}

Status apply_flag(Config& config, const FlagValue& flag) {
  if (flag.key->kind != ConfigKind::kList) {
    return set_config_value(config, *flag.key, flag.values.back());
  }
  return set_config_list(config, *flag.key, flag.values);
}

std::string config_file(const ConfigSources& sources) {
  if (!sources.file.empty()) return sources.file;
  for (const std::string_view entry : sources.environment) {
    if (entry.starts_with(kFileVariable) && entry.substr(kFileVariable.size()).starts_with('=')) {
      return std::string(entry.substr(kFileVariable.size() + 1));
    }
  }
  return {};
}

}  // namespace

Status apply_yaml(Config& config, const std::string& text, std::string_view name) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return ok_status();
    if (!root.IsMap()) {
      return invalid_argument("the file must be a map of `key: value` lines")
          .with_where(position(name, root.Mark()));
    }
    return apply_yaml_map(config, root, name);
  } catch (const YAML::Exception& error) {
    return invalid_argument(str("not valid YAML: ", error.msg))
        .with_where(position(name, error.mark));
  }
}

Result<Config> read_config(const ConfigSources& sources) {
  Config config;
  const std::string file = config_file(sources);
  if (!file.empty()) {
    Result<std::string> text = read_file(file, limits::kConfigFileSizeMax);
    if (!text.has_value()) return std::move(text).error().with_context("configuration file");
    RETURN_IF_ERROR(apply_yaml(config, *text, file));
  }
  RETURN_IF_ERROR(apply_environment(config, sources.environment));
  for (const FlagValue& flag : sources.flags) {
    const Status status = apply_flag(config, flag);
    if (!status.ok()) return written_at(status, *flag.key, flag_name(flag.key->name));
  }
  return config;
}

std::vector<std::string_view> process_environment() {
  std::vector<std::string_view> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    out.emplace_back(*entry);
  }
  return out;
}

std::string flag_name(std::string_view key) {
  std::string out = "--";
  out += key;
  std::ranges::replace(out, '_', '-');
  return out;
}

std::string variable_name(std::string_view key) {
  std::string out(kPrefix);
  out += key;
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return out;
}

}  // namespace inferneo::app
