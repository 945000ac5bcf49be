// Which keys of the configuration a model may have a value of its own for, and what they may be.
// Thread: any.
#pragma once

#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "manager/catalog_record.h"

namespace inferneo::manager {

// In the order of the configuration table.
std::vector<std::string_view> model_setting_names();

// Sorts by key. Failures: invalid_argument at "config" for a key that is none or not of one model,
// twice the same key, or a value that the key does not take.
Result<ModelSettings> checked_settings(ModelSettings settings);

// The configuration with the model's own values over it. The settings have been checked.
Config with_settings(Config config, const ModelSettings& settings);

}  // namespace inferneo::manager
