#include "base/config.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/str.h"

namespace inferneo {
namespace {

// Texts of integer defaults, which are constant expressions and not literals. One per key.
const std::string& integer_text(std::int64_t value, std::string& store) {
  return store = str(value);
}

// Why a lambda per row: a choice's values need an array of their own that outlives the row.
#define CONFIG_TEXT(scope, id, initial, help) \
  ConfigKey{#id, ConfigScope::k##scope, ConfigKind::kText, initial, "", help, 0, 0, {}},
#define CONFIG_LIST(scope, id, help) \
  ConfigKey{#id, ConfigScope::k##scope, ConfigKind::kList, "", "", help, 0, 0, {}},
#define CONFIG_CHOICE(scope, id, initial, help, ...)                                         \
  [] {                                                                                       \
    static constexpr std::string_view kChoices[] = {__VA_ARGS__};                            \
    return ConfigKey{                                                                        \
        #id, ConfigScope::k##scope, ConfigKind::kChoice, initial, "", help, 0, 0, kChoices}; \
  }(),
#define CONFIG_INTEGER(scope, id, min, max, initial, unit, help)             \
  [] {                                                                       \
    static std::string text;                                                 \
    return ConfigKey{#id,                                                    \
                     ConfigScope::k##scope,                                  \
                     ConfigKind::kInteger,                                   \
                     integer_text(static_cast<std::int64_t>(initial), text), \
                     unit,                                                   \
                     help,                                                   \
                     min,                                                    \
                     max,                                                    \
                     {}};                                                    \
  }(),
#define CONFIG_SWITCH(scope, id, initial, help)                               \
  ConfigKey{#id,                                                              \
            ConfigScope::k##scope,                                            \
            ConfigKind::kSwitch,                                              \
            (initial) ? std::string_view("true") : std::string_view("false"), \
            "",                                                               \
            help,                                                             \
            0,                                                                \
            0,                                                                \
            {}},

std::span<const ConfigKey> build_table() {
  static const ConfigKey kTable[] = {
#include "base/config.def"
  };
  return kTable;
}
#undef CONFIG_TEXT
#undef CONFIG_LIST
#undef CONFIG_CHOICE
#undef CONFIG_INTEGER
#undef CONFIG_SWITCH

// A pointer to the member of a key; exactly one is not null.
struct Member {
  std::string* text = nullptr;
  std::vector<std::string>* list = nullptr;
  std::int64_t* integer = nullptr;
  bool* flag = nullptr;
};

Member member_of(Config& config, std::string_view name) {
  Member member;
#define CONFIG_TEXT(scope, id, initial, help) \
  if (name == #id) member.text = &config.id;
#define CONFIG_LIST(scope, id, help) \
  if (name == #id) member.list = &config.id;
#define CONFIG_CHOICE(scope, id, initial, help, ...) \
  if (name == #id) member.text = &config.id;
#define CONFIG_INTEGER(scope, id, min, max, initial, unit, help) \
  if (name == #id) member.integer = &config.id;
#define CONFIG_SWITCH(scope, id, initial, help) \
  if (name == #id) member.flag = &config.id;
#include "base/config.def"
#undef CONFIG_TEXT
#undef CONFIG_LIST
#undef CONFIG_CHOICE
#undef CONFIG_INTEGER
#undef CONFIG_SWITCH
  return member;
}

Status bad_value(const ConfigKey& key, std::string_view text, std::string hint = {}) {
  return {StatusCode::kInvalidArgument,
          str(key.name, ": '", printable(text), "' is not allowed; allowed: ", config_range(key)),
          std::move(hint)};
}

Status set_integer(std::int64_t& out, const ConfigKey& key, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return bad_value(key, text);
  if (value < key.min || value > key.max) return bad_value(key, text);
  out = value;
  return ok_status();
}

Status set_switch(bool& out, const ConfigKey& key, std::string_view text) {
  static constexpr std::string_view kTrue[] = {"true", "1", "yes", "on"};
  static constexpr std::string_view kFalse[] = {"false", "0", "no", "off"};
  const auto is_text = [&](std::string_view word) { return word == text; };
  if (std::ranges::any_of(kTrue, is_text)) {
    out = true;
  } else if (std::ranges::any_of(kFalse, is_text)) {
    out = false;
  } else {
    return bad_value(key, text);
  }
  return ok_status();
}

Status set_choice(std::string& out, const ConfigKey& key, std::string_view text) {
  if (std::ranges::find(key.choices, text) == key.choices.end()) {
    const std::string_view nearest = nearest_name(text, key.choices);
    return bad_value(key, text, nearest.empty() ? "" : str("did you mean '", nearest, "'?"));
  }
  out = text;
  return ok_status();
}

std::vector<std::string> split_items(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  static const std::span<const ConfigKey> keys = build_table();
  return keys;
}

const ConfigKey* find_config_key(std::string_view name) {
  const auto keys = config_keys();
  const auto it = std::ranges::find(keys, name, &ConfigKey::name);
  return it == keys.end() ? nullptr : &*it;
}

std::string config_range(const ConfigKey& key) {
  switch (key.kind) {
    case ConfigKind::kText:
      return "text";
    case ConfigKind::kList:
      return "a list";
    case ConfigKind::kSwitch:
      return "true or false";
    case ConfigKind::kInteger:
      return str(key.min, " .. ", key.max, key.unit.empty() ? "" : " ", key.unit);
    case ConfigKind::kChoice:
      break;
  }
  std::string out;
  for (std::size_t i = 0; i < key.choices.size(); ++i) {
    if (i > 0) out += i + 1 == key.choices.size() ? " or " : ", ";
    out += key.choices[i];
  }
  return out;
}

Status set_config_value(Config& config, const ConfigKey& key, std::string_view text) {
  const Member member = member_of(config, key.name);
  switch (key.kind) {
    case ConfigKind::kText:
      *member.text = text;
      return ok_status();
    case ConfigKind::kList:
      *member.list = split_items(text);
      return ok_status();
    case ConfigKind::kChoice:
      return set_choice(*member.text, key, text);
    case ConfigKind::kInteger:
      return set_integer(*member.integer, key, text);
    case ConfigKind::kSwitch:
      return set_switch(*member.flag, key, text);
  }
  return internal_error("unknown kind of configuration key");
}

Status set_config_list(Config& config, const ConfigKey& key, std::vector<std::string> items) {
  const Member member = member_of(config, key.name);
  if (member.list == nullptr) {
    return invalid_argument(str(key.name, ": takes one value, not a list"));
  }
  *member.list = std::move(items);
  return ok_status();
}

std::string config_value_text(const Config& config, const ConfigKey& key) {
  Config copy = config;
  const Member member = member_of(copy, key.name);
  if (member.text != nullptr) return *member.text;
  if (member.integer != nullptr) return str(*member.integer);
  if (member.flag != nullptr) return *member.flag ? "true" : "false";
  std::string out;
  for (const std::string& item : *member.list) {
    if (!out.empty()) out += ',';
    out += item;
  }
  return out;
}

Status unknown_config_key(std::string_view name) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : config_keys()) names.push_back(key.name);
  const std::string_view nearest = nearest_name(name, names);
  return {StatusCode::kInvalidArgument,
          str("there is no configuration key '", printable(name), "'"),
          nearest.empty() ? "docs/configuration.md lists all keys"
                          : str("did you mean '", nearest, "'?")};
}

}  // namespace inferneo
