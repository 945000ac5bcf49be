// Answers of the management API as text for a terminal, and the flags that say whom to ask.
// Thread: any.
#pragma once

#include <string>
#include <vector>

#include "app/json_lines.h"
#include "app/management_api.h"

namespace CLI {
class App;
}

namespace inferneo::app {

// --address, --catalog and --config.
void declare_target(CLI::App& command, ManagementTarget& target, std::string& config_file);

// Columns as wide as their widest cell, two spaces between.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

std::string message_text(const Json& answer);   // "message", else the data
std::string list_text(const Json& answer);      // of /models
std::string running_text(const Json& answer);   // of /models: what is in memory or on its way
std::string show_text(const Json& answer);      // of /models/{id}
std::string alias_text(const Json& answer);     // of /aliases, or a message
std::string audit_text(const Json& answer);     // of /audit
std::string rollouts_text(const Json& answer);  // of /rollouts and /rollouts/{id}

}  // namespace inferneo::app
