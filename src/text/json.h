// JSON text to values and back, for templates, model files and the command line.
// Thread: any (pure functions).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/value.h"

namespace inferneo::text {

// Reads one JSON document. Members keep their order. Integers beyond 64 bits become floats.
// Failures: invalid_argument with the byte offset for syntax errors, invalid UTF-8, numbers out of
// range and keys that occur twice in one object; resource_exhausted beyond limits::kJsonDepthMax.
Result<Value> parse_json(std::string_view text);

// Where reading `text` as JSON stops to make sense: "line 2, column 7", counting bytes from 1; empty
// when it is JSON. Keeps nothing of what it reads.
std::string syntax_error_place(std::string_view text);

// Compact JSON in UTF-8 ("{"a":1}"). Invalid UTF-8 in strings becomes U+FFFD; numbers that JSON
// cannot hold become null.
std::string to_json(const Value& value);

}  // namespace inferneo::text
