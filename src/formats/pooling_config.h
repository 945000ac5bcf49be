// Reads how an embedding model in the layout of sentence-transformers makes one vector of a text:
// 1_Pooling/config.json (which tokens count) and modules.json (whether the vector is normalised).
// Spec: sentence-transformers 5, models/Pooling.py and the list of modules of a saved model.
// Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/model_meta.h"

namespace inferneo::formats {

// Either text may be empty (no such file). Failures: corrupt_data (not JSON, duplicate name),
// unsupported (a way of pooling that is not known).
Result<PoolingMeta> parse_pooling_config(std::string_view pooling_text,
                                         std::string_view modules_text);

// Of a model directory; nothing is known where it has neither file.
Result<PoolingMeta> read_pooling_config(const std::string& directory);

}  // namespace inferneo::formats
