// Line-by-line JSON for scripts (`tokenize --jsonl`, `render`): bounded parsing that never throws,
// and the values that chat templates read.
// Thread: any. The JSON type stays inside app.
#pragma once

#include <functional>
#include <istream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/value.h"

namespace inferneo::app {

// Keeps the order of members, which templates can see.
using Json = nlohmann::ordered_json;

// One document. Failures: invalid_argument naming the byte; depth is bounded by
// limits::kJsonDepthMax.
Result<Json> parse_json(std::string_view text);

// The same data; integers beyond 63 bits become doubles.
text::Value to_value(const Json& json);

// One line of output, invalid UTF-8 replaced.
std::string dump(const Json& json);

// Calls `answer` for each non-empty line of `in` and writes its result as a line; a failure becomes
// {"error": ..., "line": N}. Returns false when any line failed.
bool answer_lines(std::istream& in, const std::function<Result<Json>(const std::string&)>& answer);

}  // namespace inferneo::app
