#include "manager/model_watch.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "base/thread.h"
#include "manager/events.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

namespace fs = std::filesystem;
using text::Value;

constexpr std::size_t kManifestSizeMax = 1024 * 1024;
// Names of a shard end in -00001-of-00003.gguf; the model has the name before that.
constexpr std::string_view kFirstShardEnd = "-00001-of-";

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool is_model_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == kManifestName || name == "config.json" || name.ends_with(".safetensors") ||
         name.ends_with(".gguf");
}

// Entries that are not hidden, in order of their names; none for a directory that has gone.
std::vector<fs::path> entries_of(const fs::path& directory, std::error_code& error) {
  std::vector<fs::path> entries;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (!is_hidden(at->path())) entries.push_back(at->path());
  }
  std::ranges::sort(entries);
  return entries;
}

void list_directory(const fs::path& directory, std::vector<WatchedModel>& models) {
  std::error_code error;
  const std::string name = directory.filename().string();
  const std::vector<fs::path> entries = entries_of(directory, error);
  if (std::ranges::any_of(entries, is_model_file)) {
    models.push_back({name, "1", directory.string()});
    return;
  }
  for (const fs::path& entry : entries) {
    if (!fs::is_directory(entry, error)) continue;
    models.push_back({name, entry.filename().string(), entry.string()});
  }
}

void list_file(const fs::path& path, std::vector<WatchedModel>& models) {
  constexpr std::string_view kEnd = ".gguf";
  std::string name = path.filename().string();
  if (!name.ends_with(kEnd)) return;
  name.resize(name.size() - kEnd.size());
  constexpr std::size_t kCountSize = 5;
  const std::size_t of = name.find("-of-");
  if (of != std::string::npos && name.size() == of + 4 + kCountSize) {
    const std::size_t shard = name.find(kFirstShardEnd);
    if (shard == std::string::npos) return;  // the first shard stands for all
    name.resize(shard);
  }
  models.push_back({name, "1", path.string()});
}

// All that changes when somebody writes there, and when the last time was.
struct Look {
  std::string seen;
  fs::file_time_type newest = fs::file_time_type::min();
  bool has_manifest = false;
};

Look look_at(const fs::path& path) {
  Look look;
  std::error_code error;
  const bool is_directory = fs::is_directory(path, error);
  const std::vector<fs::path> entries =
      is_directory ? entries_of(path, error) : std::vector<fs::path>{path};
  for (const fs::path& entry : entries) {
    const auto time = fs::last_write_time(entry, error);
    if (error) continue;
    const std::uintmax_t size = fs::is_directory(entry, error) ? 0 : fs::file_size(entry, error);
    look.newest = std::max(look.newest, time);
    look.has_manifest = look.has_manifest || entry.filename() == kManifestName;
    look.seen +=
        str(entry.filename().string(), "/", size, "/", time.time_since_epoch().count(), ";");
  }
  return look;
}

struct Manifest {
  struct File {
    std::string name;
    std::optional<std::uint64_t> size;
    std::string sha256;
  };
  std::vector<File> files;
  ModelRegistration registration;
};

Status wrong_manifest(std::string_view why) {
  return corrupt_data(str(kManifestName, ": ", why)).with_where("path");
}

Status read_file_entry(const std::string& name, const Value& value, Manifest& manifest) {
  Manifest::File file{.name = name, .size = {}, .sha256 = {}};
  const Value* const size = value.find("size");
  if (size != nullptr) {
    const std::int64_t* number = size->as_int();
    if (number == nullptr || *number < 0) {
      return wrong_manifest(str("'", printable(name), "': size is a count of bytes"));
    }
    file.size = static_cast<std::uint64_t>(*number);
  }
  const Value* const digest = value.find("sha256");
  if (digest != nullptr) {
    const std::string* text = digest->as_string();
    constexpr std::size_t kHexDigitCount = 64;
    if (text == nullptr || text->size() != kHexDigitCount) {
      return wrong_manifest(str("'", printable(name), "': sha256 is 64 hexadecimal digits"));
    }
    file.sha256 = *text;
    std::ranges::transform(file.sha256, file.sha256.begin(), [](char c) {
      return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    });
  }
  manifest.files.push_back(std::move(file));
  return ok_status();
}

Status read_member(const std::string& key, const Value& value, Manifest& manifest) {
  ModelRegistration& model = manifest.registration;
  if (key == "files" && value.as_dict() != nullptr) {
    for (const auto& [name, entry] : *value.as_dict()) {
      RETURN_IF_ERROR(read_file_entry(name, entry, manifest));
    }
    return ok_status();
  }
  if (key == "tags" && value.as_list() != nullptr) {
    for (const Value& tag : *value.as_list()) {
      if (tag.as_string() == nullptr) return wrong_manifest("tags are texts");
      model.tags.push_back(*tag.as_string());
    }
    return ok_status();
  }
  if (key == "config" && value.as_dict() != nullptr) {
    for (const auto& [name, setting] : *value.as_dict()) {
      if (setting.as_string() == nullptr) return wrong_manifest("values of config are texts");
      model.settings.emplace_back(name, *setting.as_string());
    }
    return ok_status();
  }
  if ((key == "pinned" || key == "preload") && value.as_bool() != nullptr) {
    (key == "pinned" ? model.pinned : model.preload) = *value.as_bool();
    return ok_status();
  }
  return wrong_manifest(str("'", printable(key), "' is unknown, or of the wrong kind"));
}

Result<Manifest> read_manifest(const fs::path& path) {
  ASSIGN_OR_RETURN(const std::string json, read_file(path.string(), kManifestSizeMax));
  const Result<Value> value = text::parse_json(json);
  if (!value.has_value()) return wrong_manifest(value.error().message());
  const Value::Dict* const members = value->as_dict();
  if (members == nullptr || value->find("files") == nullptr) {
    return wrong_manifest("it must be an object with \"files\"");
  }
  Manifest manifest;
  for (const auto& [key, member] : *members) {
    RETURN_IF_ERROR(read_member(key, member, manifest));
  }
  return manifest;
}

// That each file of the manifest is there and as it says.
Status check_manifest(const Manifest& manifest, const std::vector<ModelFile>& files) {
  for (const Manifest::File& wanted : manifest.files) {
    const auto found = std::ranges::find(files, wanted.name, &ModelFile::name);
    const auto differs = [&](std::string_view how) {
      return failed_precondition(
                 str("the model is not complete: '", printable(wanted.name), "' ", how))
          .with_where("path")
          .with_hint(str("it is looked at again when something changes; ",
                         kManifestName,
                         " is to be written last"));
    };
    if (found == files.end()) return differs("is missing");
    if (wanted.size && found->size != *wanted.size) {
      return differs(str("has ", found->size, " of ", *wanted.size, " bytes"));
    }
    if (!wanted.sha256.empty() && !found->sha256.empty() && found->sha256 != wanted.sha256) {
      return differs("has another content than the manifest says");
    }
  }
  return ok_status();
}

}  // namespace

Result<std::vector<WatchedModel>> list_watched(const std::string& directory) {
  std::error_code error;
  std::vector<WatchedModel> models;
  const std::vector<fs::path> entries = entries_of(directory, error);
  if (error) {
    return unavailable(
        str("the watched directory '", printable(directory, 256), "': ", error.message()));
  }
  for (const fs::path& entry : entries) {
    std::error_code ignored;
    fs::is_directory(entry, ignored) ? list_directory(entry, models) : list_file(entry, models);
  }
  return models;
}

ModelWatch::ModelWatch(ModelAdmin& admin, Options options)
    : admin_(admin), options_(std::move(options)) {}

ModelWatch::~ModelWatch() { stop(); }

void ModelWatch::start() {
  if (thread_.joinable()) return;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ModelWatch::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void ModelWatch::run(const std::stop_token& stop) {
  set_thread_name("watch-0");
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (!std::exchange(is_looking_, true)) {
      lock.unlock();
      const Status added = admin_.run([this] {
        look();
        const std::lock_guard done(mutex_);
        is_looking_ = false;
      });
      lock.lock();
      if (!added.ok()) is_looking_ = false;
    }
    changed_.wait_for(lock, stop, options_.interval, [] { return false; });
  }
}

void ModelWatch::look() {
  const Result<std::vector<WatchedModel>> models = list_watched(options_.directory);
  if (!models.has_value()) {
    // Nothing is removed: a directory that cannot be read is no empty directory.
    tell("", "", models.error());
    return;
  }
  notes_.erase("");
  std::erase_if(notes_, [&](const auto& note) {
    return std::ranges::none_of(*models, [&](const WatchedModel& model) {
      return model_id(model.name, model.version) == note.first;
    });
  });
  for (const WatchedModel& model : *models) consider(model);
  remove_gone();
}

void ModelWatch::consider(const WatchedModel& model) {
  const std::string id = model_id(model.name, model.version);
  std::error_code error;
  const fs::path real = fs::canonical(model.path, error);
  const std::string path = error ? model.path : real.string();
  const auto record = admin_.catalog().snapshot()->find(model.name, model.version);
  if (record != nullptr && record->version == model.version) {
    // A directory with one GGUF file is recorded as that file.
    if (record->path == path || record->path.starts_with(path + "/")) {
      notes_.erase(id);
    } else {
      tell(id, path, already_exists(str("'", id, "' is registered with the path ", record->path)));
    }
    return;
  }
  const Look look = look_at(path);
  if (const auto note = notes_.find(id); note != notes_.end() && note->second.seen == look.seen) {
    return;
  }
  const auto age = fs::file_time_type::clock::now() - look.newest;
  if (!look.has_manifest && age < options_.settle) return;  // looked at again in a moment
  const Status status = take(model, path);
  if (status.code() == StatusCode::kUnavailable) return;  // the catalog is elsewhere for a while
  status.ok() ? void(notes_.erase(id)) : tell(id, look.seen, status);
}

Status ModelWatch::take(const WatchedModel& model, const std::string& path) {
  RegisterRequest request;
  std::error_code error;
  const fs::path manifest_path = fs::path(path) / kManifestName;
  if (fs::exists(manifest_path, error)) {
    ASSIGN_OR_RETURN(Manifest manifest, read_manifest(manifest_path));
    request.model = std::move(manifest.registration);
    request.check_files = [manifest = std::move(manifest)](const std::vector<ModelFile>& files) {
      return check_manifest(manifest, files);
    };
  }
  request.model.name = model.name;
  request.model.version = model.version;
  request.model.path = path;
  request.model.tags.emplace_back(kWatchedTag);
  request.by_operator = true;
  return admin_.register_model(std::move(request), {.principal = "watch"}).status();
}

// The live version of a name can go only last, so it is tried last; what cannot go now is tried
// again at each look.
void ModelWatch::remove_gone() {
  std::error_code error;
  const fs::path root = fs::canonical(options_.directory, error);
  if (error) return;
  const auto snapshot = admin_.catalog().snapshot();
  std::vector<std::string> gone;
  for (const auto& record : snapshot->models()) {
    const bool is_ours = std::ranges::find(record->tags, kWatchedTag) != record->tags.end() &&
                         record->path.starts_with(root.string() + "/");
    if (!is_ours || fs::exists(record->path, error) || error) continue;
    const bool is_live = snapshot->live_version(record->name) == record->version;
    gone.insert(is_live ? gone.end() : gone.begin(), model_id(record->name, record->version));
  }
  for (const std::string& id : gone) {
    const Status status = admin_.remove_model(id, {.principal = "watch"});
    if (!status.ok() && status.code() != StatusCode::kUnavailable) tell(id, "gone", status);
  }
}

void ModelWatch::tell(const std::string& id, const std::string& seen, const Status& status) {
  Note& note = notes_[id];
  note.seen = seen;
  if (note.text == status.message()) return;
  note.text = status.message();
  log::warning("watch", str(id, id.empty() ? "" : " is not taken: ", status.to_string()));
  if (admin_.events() == nullptr) return;
  Value::Dict detail;
  detail.emplace_back("reason", status.message());
  admin_.events()->publish({.kind = "watch", .model = id, .detail = text::to_json(detail)});
}

}  // namespace inferneo::manager
