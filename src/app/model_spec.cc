#include "app/model_spec.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/limits.h"
#include "base/str.h"
#include "formats/gguf.h"

namespace inferneo::app {
namespace {

// Bound: names become metric labels and log fields.
constexpr std::size_t kNameSizeMax = limits::kModelNameSizeMax + 1 + limits::kModelVersionSizeMax;

Status check_name(std::string_view name) {
  const bool printable_ascii =
      std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
  if (!name.empty() && name.size() <= kNameSizeMax && printable_ascii) return ok_status();
  return {StatusCode::kInvalidArgument,
          str("'", printable(name), "' cannot be the name of a model"),
          str("names are 1 to ",
              limits::kModelNameSizeMax,
              " printable characters without spaces; write NAME=PATH to choose one")};
}

namespace fs = std::filesystem;

constexpr std::string_view kWhatIsAModel =
    "a model is a GGUF file, or a Hugging Face directory with config.json, tokenizer.json and "
    "*.safetensors files";

// False for the second and later files of a model in shards: "NAME-00002-of-00003.gguf".
bool begins_a_model(const std::string& name) {
  constexpr std::string_view kShard = "-00001-of-00001.gguf";
  if (name.size() <= kShard.size()) return true;
  const std::string_view end = std::string_view(name).substr(name.size() - kShard.size());
  const bool is_shard = end[0] == '-' && end.substr(6, 4) == "-of-";
  return !is_shard || end.substr(1, 5) == "00001";
}

// The GGUF file that a directory stands for when it is no Hugging Face directory: its only one.
Result<fs::path> gguf_in(const fs::path& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& path = entry->path();
    std::error_code no_file;
    if (path.extension() != ".gguf" || !fs::is_regular_file(path, no_file)) continue;
    if (begins_a_model(path.filename().string())) found.push_back(path.filename().string());
  }
  if (found.size() == 1) return directory / found.front();
  if (found.empty()) return directory;
  std::ranges::sort(found);
  std::string names;
  for (const std::string& name : found) names += str(names.empty() ? "" : ", ", printable(name));
  return Status(StatusCode::kInvalidArgument,
                str(directory.string(), " holds ", found.size(), " GGUF files: ", names),
                "write the path of one of them");
}

// What the file calls itself, or its own name without the ending and the number of a shard.
Result<std::string> gguf_name(const fs::path& path) {
  ASSIGN_OR_RETURN(const formats::GgufFile file, formats::GgufFile::open(path.string()));
  const auto stated = file.metadata().text("general.name");
  std::string name;
  if (stated && stated->has_value())
    name = std::string(**stated).substr(0, limits::kModelNameSizeMax);
  if (name.empty()) {
    name = path.stem().string();
    if (name.size() > 15 && name.substr(name.size() - 9, 4) == "-of-") {
      name.resize(name.size() - 15);
    }
  }
  // A colon would begin a version, and slashes must have something on both sides.
  std::ranges::replace_if(
      name, [](char c) { return c <= ' ' || c >= 0x7f || c == '"' || c == ':' || c == '/'; }, '-');
  return name;
}

// The file or directory that a runtime loads.
Result<fs::path> resolve(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return Status(StatusCode::kNotFound,
                  str("model ", path.string(), " does not exist"),
                  std::string(kWhatIsAModel));
  }
  if (!fs::is_directory(path, error)) {
    if (formats::is_gguf(path.string())) return path;
    return Status(StatusCode::kInvalidArgument,
                  str("model ", path.string(), " is neither a directory nor a GGUF file"),
                  std::string(kWhatIsAModel));
  }
  return fs::exists(path / "config.json", error) ? Result<fs::path>(path) : gguf_in(path);
}

}  // namespace

Result<ModelSpec> parse_model_spec(std::string_view text) {
  const std::size_t equals = text.find('=');
  const bool named = equals != std::string_view::npos;
  const fs::path given(text.substr(named ? equals + 1 : 0));
  if (given.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  str("model '", printable(text), "' has no path"),
                  "write a path or NAME=PATH");
  }
  std::error_code error;
  fs::path path = fs::absolute(given, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  ModelSpec spec;
  ASSIGN_OR_RETURN(const fs::path found, resolve(path));
  spec.path = found.string();
  if (named) {
    spec.name = text.substr(0, equals);
  } else if (fs::is_directory(found, error)) {
    spec.name = found.filename().string();
  } else {
    ASSIGN_OR_RETURN(spec.name, gguf_name(found));
  }
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
