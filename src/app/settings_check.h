// What can be found wrong with the settings of `serve` without loading a model, and the settings as
// a file would write them.
// Thread: main.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/model_spec.h"
#include "base/config.h"
#include "base/result.h"
#include "manager/version_policy.h"

namespace inferneo::app {

// The models that the settings name. `default_model` counts when nothing else names one; `catalog`
// is the store that will be opened, empty for none. Failures: invalid_argument with where() naming
// the key, not_found (a path).
Result<std::vector<ModelSpec>> check_settings(const Config& config,
                                              const std::string& default_model,
                                              const std::string& catalog);

// version_policy by name, empty for all. Failures: invalid_argument.
Result<std::map<std::string, manager::VersionPolicy>> version_policies(const Config& config);

// One line `key: value` each: a valid configuration file.
std::string settings_text(const Config& config);

}  // namespace inferneo::app
