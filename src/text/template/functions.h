// The functions that every template can call: range, dict, namespace, raise_exception,
// strftime_now. Thread: any (immutable).
#pragma once

#include <optional>
#include <string_view>

#include "text/template/object.h"

namespace inferneo::text::jinja {

std::optional<Object> find_function(std::string_view name);

}  // namespace inferneo::text::jinja
