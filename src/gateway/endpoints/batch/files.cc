#include "gateway/endpoints/batch/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error_text.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints::batch {
namespace {

namespace fs = std::filesystem;
using text::Value;

constexpr std::string_view kRecordSuffix = ".json";
constexpr std::size_t kRecordSizeMax = 64 * 1024;

Status no_file(std::string_view id) {
  return not_found(str("no file with the id '", printable(id), "'")).with_where("file_id");
}

std::string text_of(const Value& record, std::string_view name) {
  const Value* member = record.find(name);
  return member != nullptr && member->as_string() != nullptr ? *member->as_string() : std::string();
}

std::optional<std::int64_t> number_of(const Value& record, std::string_view name) {
  const Value* member = record.find(name);
  if (member == nullptr || member->as_int() == nullptr) return std::nullopt;
  return *member->as_int();
}

std::string record_text(const FileRecord& record) {
  std::string out;
  JsonWriter json(out);
  write_file(json, record);
  return out;
}

std::optional<FileRecord> parse_record(const std::string& text) {
  const Result<Value> value = parse_json(text);
  if (!value.has_value()) return std::nullopt;
  FileRecord record;
  record.id = text_of(*value, "id");
  record.filename = text_of(*value, "filename");
  record.purpose = text_of(*value, "purpose");
  record.bytes = static_cast<std::uint64_t>(number_of(*value, "bytes").value_or(0));
  record.created_at = number_of(*value, "created_at").value_or(0);
  record.expires_at = number_of(*value, "expires_at");
  if (record.id.empty()) return std::nullopt;
  return record;
}

}  // namespace

void write_file(JsonWriter& json, const FileRecord& record) {
  json.begin_object();
  json.member("id", record.id);
  json.member("object", "file");
  json.member("bytes", record.bytes);
  json.member("created_at", record.created_at);
  json.key("expires_at");
  if (record.expires_at) {
    json.integer(*record.expires_at);
  } else {
    json.null();
  }
  json.member("filename", record.filename);
  json.member("purpose", record.purpose);
  json.member("status", "processed");
  json.end_object();
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<std::unique_ptr<Files>> Files::open(const std::string& directory,
                                           std::uint64_t bytes_max,
                                           UnixClock clock) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (!error) fs::permissions(directory, fs::perms::owner_all, error);
  if (error) {
    return Status(StatusCode::kPermissionDenied,
                  str("cannot use the directory ", directory, ": ", error.message()));
  }
  std::unique_ptr<Files> files(new Files(directory, bytes_max, std::move(clock)));
  RETURN_IF_ERROR(files->lock());
  files->load();
  return files;
}

Files::~Files() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

// Why: two servers would remove each other's files in the making and run the same batches. The
// system gives the lock back when the process ends, however it ends.
Status Files::lock() {
  const std::string name = str(directory_, "/.lock");
  lock_fd_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    return Status(StatusCode::kPermissionDenied,
                  str("cannot open ", name, ": ", error_text(errno)));
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) == 0) return ok_status();
  return Status(StatusCode::kFailedPrecondition, str(directory_, " is used by another server"));
}

std::string Files::path(std::string_view id) const { return str(directory_, "/", id); }

void Files::load() {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(AtomicFile::kSuffix)) leftovers.push_back(entry.path());
    if (!name.ends_with(kRecordSuffix)) continue;
    const Result<std::string> text = read_file(entry.path().string(), kRecordSizeMax);
    std::optional<FileRecord> record;
    if (text.has_value()) record = parse_record(*text);
    if (!record || record->id + std::string(kRecordSuffix) != name ||
        !fs::exists(path(record->id), error)) {
      log::warning("batch", str("left alone: ", entry.path().string(), " is no record of a file"));
      continue;
    }
    bytes_ += record->bytes;
    records_.emplace(record->id, *std::move(record));
  }
  // Contents without a record were never told to a client.
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("file-") && !name.ends_with(kRecordSuffix) && !records_.contains(name)) {
      leftovers.push_back(entry.path());
    }
  }
  for (const fs::path& leftover : leftovers) fs::remove(leftover, error);
}

Status Files::check_room(std::uint64_t bytes) const {
  if (records_.size() >= limits::kBatchFileCountMax) {
    return resource_exhausted(
               str("there are ", records_.size(), " files already, as many as are kept"))
        .with_where("quota")
        .with_hint("delete some");
  }
  if (bytes_ + bytes <= bytes_max_) return ok_status();
  return resource_exhausted(str("files may take ",
                                bytes_max_,
                                " bytes together; ",
                                bytes_,
                                " are taken and this one has ",
                                bytes))
      .with_where("quota")
      .with_hint("delete some, or raise files_bytes_max");
}

// The record makes the file visible, so it comes last.
Result<FileRecord> Files::enter(FileRecord record) {
  RETURN_IF_ERROR(
      inferneo::write_file(path(record.id) + std::string(kRecordSuffix), record_text(record)));
  bytes_ += record.bytes;
  records_.emplace(record.id, record);
  return record;
}

Result<FileRecord> Files::add(FileRecord record, std::string_view content) {
  const std::lock_guard lock(mutex_);
  expire_locked();
  RETURN_IF_ERROR(check_room(content.size()));
  record.id = random_id("file-", 24);
  record.bytes = content.size();
  record.created_at = clock_();
  RETURN_IF_ERROR(inferneo::write_file(path(record.id), content));
  return enter(std::move(record));
}

Result<FileRecord> Files::adopt(FileRecord record, const std::string& from) {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  record.bytes = fs::file_size(from, error);
  record.id = random_id("file-", 24);
  record.created_at = clock_();
  if (!error) fs::rename(from, path(record.id), error);
  if (error) return internal_error(str("cannot keep ", from, ": ", error.message()));
  return enter(std::move(record));
}

Result<FileRecord> Files::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  if (found == records_.end() || is_over(found->second)) return no_file(id);
  return found->second;
}

Result<std::string> Files::read(std::string_view id) const {
  ASSIGN_OR_RETURN(const FileRecord record, find(id));
  return read_file(path(record.id), static_cast<std::size_t>(record.bytes) + 1);
}

Status Files::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  if (found == records_.end() || is_over(found->second)) return no_file(id);
  remove_locked(found->second);
  records_.erase(found);
  return ok_status();
}

void Files::remove_locked(const FileRecord& record) {
  std::error_code error;
  fs::remove(path(record.id) + std::string(kRecordSuffix), error);
  fs::remove(path(record.id), error);
  bytes_ -= record.bytes;
}

std::vector<FileRecord> Files::list(std::string_view purpose) const {
  std::vector<FileRecord> found;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : records_) {
      if (is_over(record)) continue;
      if (purpose.empty() || record.purpose == purpose) found.push_back(record);
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const FileRecord& a, const FileRecord& b) {
    return a.created_at > b.created_at;
  });
  return found;
}

void Files::expire() {
  const std::lock_guard lock(mutex_);
  expire_locked();
}

void Files::expire_locked() {
  std::erase_if(records_, [&](const auto& entry) {
    if (!is_over(entry.second)) return false;
    remove_locked(entry.second);
    return true;
  });
}

Status Files::has_room() {
  const std::lock_guard lock(mutex_);
  expire_locked();
  return check_room(0);
}

}  // namespace inferneo::gateway::endpoints::batch
