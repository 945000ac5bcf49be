#include "manager/model_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/error_text.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "text/json.h"

namespace inferneo::manager {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhatIsAModel =
    "a model is a GGUF file, or a Hugging Face directory with config.json and *.safetensors files";
// An index of the largest checkpoints lists some 100,000 tensors in 10 MB.
constexpr std::size_t kIndexFileSizeMax = 64 * 1024 * 1024;
constexpr std::size_t kDigestChunkSize = 1024 * 1024;

// Names that copying and downloading programs give to what they have not finished.
constexpr std::string_view kUnfinished[] = {
    ".part", ".partial", ".tmp", ".incomplete", ".crdownload", ".download", ".aria2", ".filepart"};
// What a model is made of; other files of its directory (pictures, licences) are not looked at.
constexpr std::string_view kModelFileEndings[] = {
    ".safetensors", ".json", ".gguf", ".model", ".txt", ".jinja"};

Status at_path(Status status) { return std::move(status).with_where("path"); }

std::string shown(std::string_view path) { return str("'", printable(path, 512), "'"); }

bool ends_with_any(std::string_view name, std::span<const std::string_view> endings) {
  return std::ranges::any_of(endings, [&](std::string_view end) { return name.ends_with(end); });
}

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "no plain file";
}

Result<std::string> canonical_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (real != nullptr) return std::string(real.get());
  const int error = errno;
  const std::string text = str(shown(path), ": ", error_text(error));
  if (error == ENOENT || error == ENOTDIR) {
    return at_path(not_found(str("model path ", shown(path), " does not exist"))
                       .with_hint(std::string(kWhatIsAModel)));
  }
  if (error == ELOOP || error == ENAMETOOLONG) return at_path(invalid_argument(text));
  return at_path(permission_denied(text));
}

bool is_inside(const std::string& path, const std::string& root) {
  if (root == "/") return true;
  return path == root ||
         (path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/');
}

// `given` is how it was written, for the message; `real` is where it leads.
Status check_inside(const std::string& given, const std::string& real, const std::string& root) {
  if (root.empty()) return ok_status();
  ASSIGN_OR_RETURN(const std::string real_root, canonical_path(root));
  if (is_inside(real, real_root)) return ok_status();
  const std::string normal = fs::path(given).lexically_normal().string();
  const bool by_link = is_inside(normal, real_root) || is_inside(normal, root);
  return at_path(permission_denied(str(shown(given),
                                       by_link ? " leads out of" : " is outside",
                                       " the model root ",
                                       shown(root),
                                       by_link ? " through a symbolic link" : ""))
                     .with_hint("put the model inside that directory, or change model_root"));
}

// An open plain file; closes itself.
class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

// Why O_NONBLOCK: opening a FIFO would wait for a writer.
int open_to_read(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

Result<FileIdentity> plain_file(const std::string& path, const OpenFile& file) {
  if (file.fd() < 0) {
    const int error = errno;
    const std::string text = str(shown(path), ": ", error_text(error));
    if (error == ENOENT) return at_path(not_found(text));
    if (error == ENXIO) return at_path(invalid_argument(str(shown(path), " is a socket")));
    return at_path(permission_denied(text));
  }
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return internal_error(error_text(errno));
  if (!S_ISREG(info.st_mode)) {
    return at_path(
        invalid_argument(str(shown(path), " is ", kind_of(info.st_mode), ", not a plain file")));
  }
  return identify_file(file.fd());
}

Result<std::string> first_bytes(const std::string& path) {
  const OpenFile file(open_to_read(path));
  ASSIGN_OR_RETURN([[maybe_unused]] const FileIdentity identity, plain_file(path, file));
  std::string bytes(16, '\0');
  const ssize_t size = ::pread(file.fd(), bytes.data(), bytes.size(), 0);
  bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return bytes;
}

// What a file is that is no GGUF file, so that its owner knows what to do.
std::string foreign_format(const std::string& path, std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  if (path.ends_with(".safetensors")) return "a safetensors file without its directory";
  if (path.ends_with(".onnx")) return "an ONNX model";
  if (path.ends_with(".engine") || path.ends_with(".plan")) return "a TensorRT engine";
  if (bytes.starts_with("PK\x03\x04")) return "a PyTorch or TorchScript archive";
  if (bytes.starts_with("\x80\x02") || bytes.starts_with("\x80\x04")) return "a Python pickle";
  if (bytes.starts_with("\x1f\x8b")) return "a gzip archive";
  if (bytes.substr(0, 4) == "ggjt" || bytes.substr(0, 4) == "tjgg") return "an old GGML file";
  return "of no known format";
}

Status check_gguf(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, first_bytes(path));
  if (bytes.starts_with("GGUF")) return ok_status();
  return at_path(unsupported(str(shown(path), " is ", foreign_format(path, bytes)))
                     .with_hint(std::string(kWhatIsAModel)));
}

Result<ModelFile> describe_file(const std::string& path, std::string name) {
  const OpenFile file(open_to_read(path));
  ASSIGN_OR_RETURN(const FileIdentity identity, plain_file(path, file));
  ModelFile described;
  described.name = std::move(name);
  described.size = identity.size;
  described.identity = identity.to_string();
  return described;
}

// NAME-00001-of-00003.gguf: where the number stands, or npos.
std::size_t shard_number_at(std::string_view name) {
  constexpr std::string_view kExample = "-00001-of-00003.gguf";
  if (name.size() <= kExample.size()) return std::string_view::npos;
  const std::size_t at = name.size() - kExample.size();
  return name[at] == '-' && name.substr(at + 6, 4) == "-of-" ? at + 1 : std::string_view::npos;
}

bool is_later_shard(std::string_view name) {
  const std::size_t at = shard_number_at(name);
  return at != std::string_view::npos && name.substr(at, 5) != "00001";
}

// All files of the GGUF model that begins with `path`.
Result<FoundModel> find_gguf(const std::string& path, const std::string& root) {
  RETURN_IF_ERROR(check_gguf(path));
  FoundModel found{.path = path, .format = ModelFormat::kGguf, .files = {}};
  const std::string directory = fs::path(path).parent_path().string();
  std::string name = fs::path(path).filename().string();
  const std::size_t number = shard_number_at(name);
  const long count =
      number == std::string::npos ? 1 : std::strtol(name.c_str() + number + 9, nullptr, 10);
  if (count < 1 || count > static_cast<long>(limits::kModelFileCountMax)) {
    return at_path(invalid_argument(str(shown(path), " says it has ", count, " shards")));
  }
  for (long i = 1; i <= count; ++i) {
    if (number != std::string::npos) {
      std::string digits = str(i);
      digits.insert(0, 5 - std::min<std::size_t>(5, digits.size()), '0');
      name.replace(number, 5, digits);
    }
    const std::string shard = str(directory == "/" ? "" : directory, "/", name);
    ASSIGN_OR_RETURN(const std::string real, canonical_path(shard));
    RETURN_IF_ERROR(check_inside(shard, real, root));
    ASSIGN_OR_RETURN(ModelFile file, describe_file(real, name));
    found.files.push_back(std::move(file));
  }
  return found;
}

struct Listing {
  std::vector<std::string> names;  // of files, sorted
  std::vector<std::string> gguf;   // of those, GGUF models
  bool has_config = false;
  bool has_safetensors = false;
  std::string pickle;  // a PyTorch checkpoint, when there is one
};

Status look_at_entry(const fs::path& path, const std::string& root, Listing& listing) {
  const std::string name = path.filename().string();
  std::error_code error;
  if (ends_with_any(name, kUnfinished)) {
    return at_path(failed_precondition(str(shown(path.string()),
                                           " is left of a copy or download that has not ended"))
                       .with_hint("let it end, or remove that file, and register again"));
  }
  if (fs::is_directory(path, error)) return ok_status();
  if (name.ends_with(".bin") && listing.pickle.empty()) listing.pickle = name;
  if (!ends_with_any(name, kModelFileEndings)) return ok_status();
  ASSIGN_OR_RETURN(const std::string real, canonical_path(path.string()));
  RETURN_IF_ERROR(check_inside(path.string(), real, root));
  {
    const OpenFile file(open_to_read(real));
    ASSIGN_OR_RETURN([[maybe_unused]] const FileIdentity identity, plain_file(path.string(), file));
  }
  listing.has_config = listing.has_config || name == "config.json";
  listing.has_safetensors = listing.has_safetensors || name.ends_with(".safetensors");
  if (name.ends_with(".gguf") && !is_later_shard(name)) listing.gguf.push_back(name);
  listing.names.push_back(name);
  return ok_status();
}

Result<Listing> list_directory(const std::string& directory, const std::string& root) {
  Listing listing;
  std::error_code error;
  std::size_t count = 0;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (++count > limits::kModelFileCountMax) {
      return at_path(invalid_argument(
          str(shown(directory), " holds more than ", limits::kModelFileCountMax, " entries")));
    }
    RETURN_IF_ERROR(look_at_entry(entry->path(), root, listing));
  }
  if (error) {
    return at_path(permission_denied(str(shown(directory), ": ", error.message())));
  }
  std::ranges::sort(listing.names);
  return listing;
}

// That every shard which an index names is there.
Status check_index(const std::string& directory, const Listing& listing) {
  constexpr std::string_view kIndex = "model.safetensors.index.json";
  if (!std::ranges::binary_search(listing.names, kIndex)) return ok_status();
  ASSIGN_OR_RETURN(const std::string json,
                   read_file(str(directory, "/", kIndex), kIndexFileSizeMax));
  const Result<text::Value> index = text::parse_json(json);
  const text::Value* map = index.has_value() ? index->find("weight_map") : nullptr;
  if (map == nullptr || map->as_dict() == nullptr) {
    return at_path(corrupt_data(str(shown(directory), ": ", kIndex, " is not a shard index")));
  }
  std::vector<std::string> missing;
  for (const auto& [tensor, shard] : *map->as_dict()) {
    const std::string* name = shard.as_string();
    if (name == nullptr || std::ranges::binary_search(listing.names, *name)) continue;
    if (std::ranges::find(missing, *name) == missing.end()) missing.push_back(*name);
  }
  if (missing.empty()) return ok_status();
  return at_path(not_found(str(shown(directory),
                               " is not complete: ",
                               shown(missing.front()),
                               missing.size() > 1 ? str(" and ", missing.size() - 1, " more") : "",
                               " of its index ",
                               missing.size() > 1 ? "are" : "is",
                               " missing"))
                     .with_hint("copy the whole directory and register again"));
}

Result<FoundModel> find_in_directory(const std::string& directory, const std::string& root) {
  ASSIGN_OR_RETURN(const Listing listing, list_directory(directory, root));
  if (!listing.has_config && listing.gguf.size() == 1) {
    ASSIGN_OR_RETURN(const std::string real,
                     canonical_path(str(directory, "/", listing.gguf.front())));
    return find_gguf(real, root);
  }
  if (!listing.has_config && listing.gguf.size() > 1) {
    return at_path(
        invalid_argument(str(shown(directory), " holds ", listing.gguf.size(), " GGUF models"))
            .with_hint("give the path of one of them"));
  }
  if (!listing.pickle.empty() && !listing.has_safetensors) {
    return at_path(unsupported(str(shown(directory),
                                   " holds a PyTorch checkpoint (",
                                   printable(listing.pickle),
                                   "), which can run code when it is read"))
                       .with_hint("convert it to safetensors or GGUF"));
  }
  if (!listing.has_config || !listing.has_safetensors) {
    const std::string_view lacks = listing.has_config ? "*.safetensors files" : "config.json";
    return at_path((listing.has_config || listing.has_safetensors ? not_found : unsupported)(
                       str(shown(directory), " is no complete model: it has no ", lacks))
                       .with_hint(std::string(kWhatIsAModel)));
  }
  RETURN_IF_ERROR(check_index(directory, listing));
  FoundModel found{.path = directory, .format = ModelFormat::kHuggingFace, .files = {}};
  for (const std::string& name : listing.names) {
    ASSIGN_OR_RETURN(ModelFile file, describe_file(str(directory, "/", name), name));
    found.files.push_back(std::move(file));
  }
  return found;
}

std::string path_of_file(const FoundModel& model, const ModelFile& file) {
  const fs::path directory = model.format == ModelFormat::kGguf ? fs::path(model.path).parent_path()
                                                                : fs::path(model.path);
  return (directory / file.name).string();
}

// Reads one file through. `advance` is told of each part and may stop it.
Result<std::string> digest_of(const std::string& path,
                              const std::string& identity,
                              UniqueFunction<bool(std::uint64_t)>& advance) {
  const OpenFile file(open_to_read(path));
  ASSIGN_OR_RETURN(const FileIdentity before, plain_file(path, file));
  Sha256 hash;
  std::vector<std::byte> chunk(kDigestChunkSize);
  for (;;) {
    const ssize_t size = ::read(file.fd(), chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return internal_error(str(shown(path), ": ", error_text(errno)));
    if (size == 0) break;
    hash.update(std::span(chunk).first(static_cast<std::size_t>(size)));
    if (!advance(static_cast<std::uint64_t>(size))) return cancelled("stopped while reading");
  }
  ASSIGN_OR_RETURN(const FileIdentity after, identify_file(file.fd()));
  if (before == after && (identity.empty() || identity == after.to_string())) {
    return hash.hex_digest();
  }
  return at_path(corrupt_data(str(shown(path), " changed while it was read"))
                     .with_hint("register again once nothing writes to it"));
}

}  // namespace

Result<FoundModel> find_model_files(const std::string& path, const std::string& root) {
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
    return at_path(invalid_argument(str("model path ", shown(path), " must be absolute")));
  }
  ASSIGN_OR_RETURN(const std::string real, canonical_path(path));
  RETURN_IF_ERROR(check_inside(path, real, root));
  struct stat info {};
  if (::stat(real.c_str(), &info) != 0) {
    return at_path(permission_denied(str(shown(path), ": ", error_text(errno))));
  }
  if (S_ISDIR(info.st_mode)) return find_in_directory(real, root);
  if (S_ISREG(info.st_mode)) return find_gguf(real, root);
  return at_path(invalid_argument(str(shown(path), " is ", kind_of(info.st_mode)))
                     .with_hint(std::string(kWhatIsAModel)));
}

Status compute_digests(FoundModel& model, DigestProgress progress) {
  std::uint64_t total = 0;
  std::uint64_t done = 0;
  for (const ModelFile& file : model.files) total += file.size;
  UniqueFunction<bool(std::uint64_t)> advance = [&](std::uint64_t size) {
    done += size;
    return !progress || progress(done, total);
  };
  for (ModelFile& file : model.files) {
    ASSIGN_OR_RETURN(file.sha256, digest_of(path_of_file(model, file), file.identity, advance));
  }
  return ok_status();
}

Status verify_model_files(const ModelRecord& record, const std::string& root, DigestCheck check) {
  ASSIGN_OR_RETURN(const FoundModel found, find_model_files(record.path, root));
  if (check == DigestCheck::kNever) return ok_status();
  UniqueFunction<bool(std::uint64_t)> advance = [](std::uint64_t) { return true; };
  for (const ModelFile& recorded : record.files) {
    const auto now = std::ranges::find(found.files, recorded.name, &ModelFile::name);
    const auto differs = [&](std::string_view how) {
      return at_path(corrupt_data(str("file '",
                                      printable(recorded.name),
                                      "' of model '",
                                      model_id(record.name, record.version),
                                      "' ",
                                      how))
                         .with_hint("restore the file, or register the files as another version"));
    };
    if (now == found.files.end()) return differs("is gone");
    if (now->size != recorded.size) {
      return differs(
          str("has ", now->size, " bytes, but ", recorded.size, " when it was registered"));
    }
    if (recorded.sha256.empty()) continue;
    if (check == DigestCheck::kChanged && now->identity == recorded.identity) continue;
    ASSIGN_OR_RETURN(const std::string digest, digest_of(path_of_file(found, *now), {}, advance));
    if (digest != recorded.sha256)
      return differs("has another content than when it was registered");
  }
  return ok_status();
}

}  // namespace inferneo::manager
