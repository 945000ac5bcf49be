// The values of the catalog: a version of a model, an alias, a change and who made it.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"

namespace inferneo::manager {

// What the files of a model are, found from their content (manager/model_files.h).
enum class ModelFormat : std::uint8_t {
  kHuggingFace,  // a directory of config.json and *.safetensors
  kGguf,
};
std::string_view model_format_name(ModelFormat format);  // "huggingface", "gguf"
std::optional<ModelFormat> parse_model_format(std::string_view name);

// A file of a model, as it was when it was registered.
struct ModelFile {
  std::string name;  // within the model's directory, or the GGUF file's own name
  std::uint64_t size = 0;
  std::string sha256 = {};  // 64 hexadecimal digits; empty when not computed
  std::string identity =
      {};  // FileIdentity::to_string() of the file that the digest was computed from

  bool operator==(const ModelFile&) const = default;
};

// Keys and values of base/config.def that apply to this model alone ("context_tokens_max",
// "2048"). Sorted by key.
using ModelSettings = std::vector<std::pair<std::string, std::string>>;

// Stands for the live version where a version is asked for.
inline constexpr std::string_view kLatestVersion = "latest";

// One version of a model.
struct ModelRecord {
  std::string name;     // may contain slashes, no colon
  std::string version;  // "1" when nothing was said; no colon, no slash; never "latest"
  std::string path;     // absolute, of the directory or the GGUF file
  ModelFormat format = ModelFormat::kHuggingFace;
  ModelSettings settings = {};         // "config" in the API
  std::vector<std::string> tags = {};  // sorted
  bool pinned = false;                 // never evicted
  bool preload = false;                // loaded at start instead of at the first request
  std::vector<ModelFile> files = {};
  std::int64_t created_unix_ms = 0;
  std::int64_t updated_unix_ms = 0;
  std::uint64_t sequence = 0;  // order of registration over all models

  bool operator==(const ModelRecord&) const = default;
};

// "name:version"
std::string model_id(std::string_view name, std::string_view version);

struct ModelReference {
  std::string name;
  std::string version;  // empty: the live one
};
// Splits "name" or "name:version" ("name:latest" has an empty version).
// Failures: invalid_argument.
Result<ModelReference> parse_model_reference(std::string_view text);
// Failures: invalid_argument that says what a name may be.
Status check_model_name(std::string_view name);
Status check_model_version(std::string_view version);

struct ModelRegistration {
  std::string name;
  std::string version;  // empty: "1", or the next number when the name has versions
  std::string path;
  ModelFormat format = ModelFormat::kHuggingFace;
  ModelSettings settings = {};
  std::vector<std::string> tags = {};
  bool pinned = false;
  bool preload = false;
  std::vector<ModelFile> files = {};
};

struct ModelChange {
  std::optional<std::string> path = {};
  std::optional<ModelSettings> settings = {};
  std::optional<std::vector<std::string>> tags = {};
  std::optional<bool> pinned = {};
  std::optional<bool> preload = {};
  std::optional<std::vector<ModelFile>> files = {};
};

struct AliasRecord {
  std::string alias;
  std::string name;
  std::string version = {};  // empty: follows the live version

  bool operator==(const AliasRecord&) const = default;
};

// Who makes a change.
struct Actor {
  std::string principal;     // "config", "cli", "manager", or a key's name once there are keys
  std::string address = {};  // of the client, or empty
};
bool operator==(const Actor& a, const Actor& b);

struct AuditRecord {
  std::uint64_t id = 0;
  std::int64_t at_unix_ms = 0;
  Actor actor = {};
  std::string action;   // "register", "change", "remove", "alias", "load", "rollout.promote", ...
  std::string subject;  // "name:version" or an alias
  std::string before = {};  // JSON, or empty when there was nothing
  std::string after = {};
  std::string result = "ok";  // or the name of a StatusCode
  std::string message = {};   // why it failed

  bool operator==(const AuditRecord& other) const = default;
};

struct AuditQuery {
  std::string subject = {};     // "name" or "name:version"; empty: all
  std::uint64_t before_id = 0;  // only older ones; 0: from the newest
  std::size_t count_max = 100;
};

}  // namespace inferneo::manager
