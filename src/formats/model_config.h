// Reads config.json and generation_config.json of a Hugging Face model directory, in the spellings
// of transformers 4 and 5, into ModelMeta. Code that a model names (auto_map) is never looked at.
// Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/model_meta.h"

namespace inferneo::formats {

// `generation_text` may be empty (no such file). Failures: corrupt_data (not JSON, duplicate key,
// nested too deep), invalid_argument naming key, value and range, unsupported (quantized weights).
Result<ModelMeta> parse_model_config(std::string_view config_text,
                                     std::string_view generation_text);

// Failures: those above, and not_found when there is no config.json.
Result<ModelMeta> read_model_config(const std::string& directory);

}  // namespace inferneo::formats
