// How a person names a model: a GGUF file or a directory, or NAME=PATH.
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

// A directory without config.json that holds one GGUF file stands for that file. Without NAME= the
// name is that of the directory, or what a GGUF file calls itself (general.name), or else the
// file's. Failures: invalid_argument for a name that a request could not write, for a file of
// another kind and for a directory of several GGUF files, not_found for a path that does not exist,
// and those of GgufFile::open.
Result<ModelSpec> parse_model_spec(std::string_view text);

// All of them; a second model of the same name is already_exists.
Result<std::vector<ModelSpec>> parse_model_specs(const std::vector<std::string>& texts);

}  // namespace inferneo::app
