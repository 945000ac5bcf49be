// How many changes were acknowledged and what the rows then summed to, beside the database. SQLite
// ends its log silently at the first damaged frame, as if what follows had never been committed;
// only a count kept elsewhere can tell such a loss from a crash before the commit.
//
// Two slots in sectors of their own take turns, so that a write torn by a crash leaves the other.
// Thread: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace inferneo::manager::catalog {

struct Head {
  std::uint64_t revision = 0;
  std::uint64_t row_sum = 0;

  bool operator==(const Head&) const = default;
};

class HeadFile {
 public:
  // None when there is no such file. Failures: corrupt_data when neither slot is whole,
  // permission_denied, internal.
  static Result<std::optional<Head>> read(const std::string& path);

  // Makes the file with this head; it has its name only once it is complete and on disk. Failures:
  // as AtomicFile.
  static Status create(const std::string& path, const Head& head);
  // For writing. Failures: not_found, permission_denied, internal.
  static Result<HeadFile> open(const std::string& path);
  HeadFile(HeadFile&& other) noexcept;
  HeadFile& operator=(HeadFile&& other) noexcept;
  ~HeadFile();

  // Returns once it is on disk. Failures: resource_exhausted, internal.
  Status write(const Head& head);

 private:
  explicit HeadFile(int fd) : fd_(fd) {}
  int fd_;
};

// Waits until names made or removed in the directory of `path` are on disk.
Status sync_directory_of(const std::string& path);

}  // namespace inferneo::manager::catalog
