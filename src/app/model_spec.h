// How a person names a model: a directory, or NAME=DIRECTORY.
// Thread: any (values).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace inferneo::app {

struct ModelSpec {
  std::string name;  // what requests call it
  std::string path;  // absolute
};

// Without NAME= the name is the last component of the path. Failures: invalid_argument for a name
// that a request could not write, not_found for a path that is no directory (naming it and what a
// model directory holds).
Result<ModelSpec> parse_model_spec(std::string_view text);

// All of them; a second model of the same name is already_exists.
Result<std::vector<ModelSpec>> parse_model_specs(const std::vector<std::string>& texts);

}  // namespace inferneo::app
