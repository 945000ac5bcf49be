// Records of the catalog as JSON: as the database keeps parts of them, as the audit shows them, and
// as the API and the command line print them.
// Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "manager/catalog_record.h"
#include "text/value.h"

namespace inferneo::manager {

// {"model_id", "version", "path", "format", "config", "tags", "pinned", "preload", "files",
// "created_at", "updated_at"}; times are seconds since 1970 with milliseconds.
text::Value model_value(const ModelRecord& model);
text::Value alias_value(const AliasRecord& alias);
// `before` and `after` as objects, or null.
text::Value audit_value(const AuditRecord& record);

std::string settings_json(const ModelSettings& settings);
std::string tags_json(const std::vector<std::string>& tags);
std::string files_json(const std::vector<ModelFile>& files);
// Of what the functions above wrote. Failures: corrupt_data.
Result<ModelSettings> parse_settings_json(std::string_view text);
Result<std::vector<std::string>> parse_tags_json(std::string_view text);
Result<std::vector<ModelFile>> parse_files_json(std::string_view text);

}  // namespace inferneo::manager
