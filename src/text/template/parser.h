// Template source to tree. The grammar is that of jinja2 3.1 with the extensions that transformers
// turns on (break, continue, generation); what is left out is refused by name.
// Thread: any (pure function).
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/template/syntax.h"

namespace inferneo::text::jinja {

// Failures: invalid_argument with line and column; unsupported naming the construct.
Result<Body> parse_template(std::string_view source);

}  // namespace inferneo::text::jinja
