// The configuration of the process: a struct with a member per row of config.def, and the rows
// themselves, from which flags, file, environment and the reference are made. Where values come
// from is app's business (app/config_sources.h); here is what they are.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"

namespace inferneo {

struct Config {
#define CONFIG_TEXT(scope, id, initial, help) std::string id = initial;
#define CONFIG_LIST(scope, id, help) std::vector<std::string> id;
#define CONFIG_CHOICE(scope, id, initial, help, ...) std::string id = initial;
#define CONFIG_INTEGER(scope, id, min, max, initial, unit, help) \
  std::int64_t id = static_cast<std::int64_t>(initial);
#define CONFIG_SWITCH(scope, id, initial, help) bool id = initial;
#include "base/config.def"
#undef CONFIG_TEXT
#undef CONFIG_LIST
#undef CONFIG_CHOICE
#undef CONFIG_INTEGER
#undef CONFIG_SWITCH
};

enum class ConfigScope : std::uint8_t { kServer, kEngine };
enum class ConfigKind : std::uint8_t { kText, kList, kChoice, kInteger, kSwitch };

// One row of the table. Borrowed views of literals.
struct ConfigKey {
  std::string_view name;
  ConfigScope scope = ConfigScope::kEngine;
  ConfigKind kind = ConfigKind::kText;
  std::string_view initial;  // as it would be written in a file
  std::string_view unit;
  std::string_view help;
  std::int64_t min = 0;  // kInteger
  std::int64_t max = 0;
  std::span<const std::string_view> choices;  // kChoice
};

// In the order of the table.
std::span<const ConfigKey> config_keys();

// Null when there is no such key.
const ConfigKey* find_config_key(std::string_view name);

// "16 .. 65536 tokens", "auto, f32 or bf16", "true or false", ...
std::string config_range(const ConfigKey& key);

// Sets one value from its text; a list takes items separated by commas. The failure
// (invalid_argument) names key, value and what is allowed; the caller adds where it was written.
Status set_config_value(Config& config, const ConfigKey& key, std::string_view text);
// Sets a list from its items.
Status set_config_list(Config& config, const ConfigKey& key, std::vector<std::string> items);

// The current value as text (lists joined with commas).
std::string config_value_text(const Config& config, const ConfigKey& key);

// Failure for a name that is no key, with the nearest right one as hint.
Status unknown_config_key(std::string_view name);

}  // namespace inferneo
