#include "app/model_spec.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/str.h"

namespace inferneo::app {
namespace {

// Bound: names become metric labels and log fields.
constexpr std::size_t kNameSizeMax = 256;

Status check_name(std::string_view name) {
  const bool printable_ascii =
      std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
  if (!name.empty() && name.size() <= kNameSizeMax && printable_ascii) return ok_status();
  return {StatusCode::kInvalidArgument,
          str("'", printable(name), "' cannot be the name of a model"),
          "names are 1 to 256 printable characters without spaces; write NAME=PATH to choose one"};
}

}  // namespace

Result<ModelSpec> parse_model_spec(std::string_view text) {
  namespace fs = std::filesystem;
  const std::size_t equals = text.find('=');
  const bool named = equals != std::string_view::npos;
  const fs::path given(text.substr(named ? equals + 1 : 0));
  if (given.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  str("model '", printable(text), "' has no path"),
                  "write a directory or NAME=DIRECTORY");
  }
  std::error_code error;
  fs::path path = fs::absolute(given, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (!fs::is_directory(path, error)) {
    const std::string_view problem =
        fs::exists(path, error) ? " is not a directory" : " does not exist";
    return Status(StatusCode::kNotFound,
                  str("model ", path.string(), problem),
                  "a model is a Hugging Face directory with config.json, tokenizer.json and "
                  "*.safetensors files");
  }
  ModelSpec spec;
  spec.path = path.string();
  spec.name = named ? std::string(text.substr(0, equals)) : path.filename().string();
  RETURN_IF_ERROR(check_name(spec.name));
  return spec;
}

Result<std::vector<ModelSpec>> parse_model_specs(const std::vector<std::string>& texts) {
  std::vector<ModelSpec> specs;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(ModelSpec spec, parse_model_spec(text));
    const auto same = std::ranges::find(specs, spec.name, &ModelSpec::name);
    if (same != specs.end()) {
      return Status(StatusCode::kAlreadyExists,
                    str("two models are named '", spec.name, "': ", same->path, " and ", spec.path),
                    "write NAME=PATH to tell them apart");
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace inferneo::app
