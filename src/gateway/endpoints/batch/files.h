// Files that clients upload for batches, and the results they fetch, in one directory: the content
// under its id, and a record beside it (<id>.json). A file is there once its record is.
// Thread: any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/endpoints/json_writer.h"

namespace inferneo::gateway::endpoints::batch {

struct FileRecord {
  std::string id;  // "file-..."
  std::string filename;
  std::string purpose;
  std::uint64_t bytes = 0;
  std::int64_t created_at = 0;
  std::optional<std::int64_t> expires_at;
};

// Spec: OpenAI API reference, the file object.
void write_file(JsonWriter& json, const FileRecord& record);

// Seconds since 1970, of the system or of a test.
using UnixClock = std::function<std::int64_t()>;
std::int64_t unix_now();

class Files {
 public:
  // Makes the directory, reads what is there, and removes what a crash left behind. `bytes_max`
  // bounds all files together. Failures: permission_denied, failed_precondition when another server
  // uses the directory.
  static Result<std::unique_ptr<Files>> open(const std::string& directory,
                                             std::uint64_t bytes_max,
                                             UnixClock clock = unix_now);

  ~Files();
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  // Failures: resource_exhausted (count, bytes, disk).
  Result<FileRecord> add(FileRecord record, std::string_view content);
  // The same for a file that was written beside this directory; it is moved.
  Result<FileRecord> adopt(FileRecord record, const std::string& path);
  // Failures of all: not_found with where() "file_id".
  [[nodiscard]] Result<FileRecord> find(std::string_view id) const;
  [[nodiscard]] Result<std::string> read(std::string_view id) const;
  Status remove(std::string_view id);

  // Newest first; `purpose` empty for all.
  [[nodiscard]] std::vector<FileRecord> list(std::string_view purpose) const;
  // Removes files whose time has come. The calls above do so too: what is over is never found.
  void expire();
  // Failures: resource_exhausted when no further file can be kept.
  [[nodiscard]] Status has_room();
  [[nodiscard]] std::int64_t now() const { return clock_(); }

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string path(std::string_view id) const;

 private:
  Files(std::string directory, std::uint64_t bytes_max, UnixClock clock)
      : directory_(std::move(directory)), bytes_max_(bytes_max), clock_(std::move(clock)) {}
  Status lock();
  void load();
  Status check_room(std::uint64_t bytes) const;
  Result<FileRecord> enter(FileRecord record);
  void expire_locked();
  void remove_locked(const FileRecord& record);
  [[nodiscard]] bool is_over(const FileRecord& record) const {
    return record.expires_at && *record.expires_at <= clock_();
  }

  const std::string directory_;
  const std::uint64_t bytes_max_;
  const UnixClock clock_;
  int lock_fd_ = -1;  // of a file that is locked as long as the directory is used
  mutable std::mutex mutex_;
  std::map<std::string, FileRecord, std::less<>> records_;
  std::uint64_t bytes_ = 0;
};

}  // namespace inferneo::gateway::endpoints::batch
