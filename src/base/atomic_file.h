// A file that appears under its name only when it is complete: written under another name in the
// same directory, then renamed. What had the name before stays whole until then; of
// several writers the last wins. Mode 0600.
// Thread: one. Ownership: owns the descriptor; without commit() nothing is left behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/mapped_file.h"
#include "base/result.h"

namespace inferneo {

class AtomicFile {
 public:
  // Ends every name of a file that is not complete, so that leftovers of a crash can be found.
  static constexpr std::string_view kSuffix = ".tmp";

  // Failures: not_found (directory), permission_denied, resource_exhausted, internal.
  static Result<AtomicFile> create(std::string path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // Claims space, so that a full disk shows at once where the file system can say so.
  // Failures: resource_exhausted.
  Status reserve(std::uint64_t size);
  // Failures: resource_exhausted (no space, quota, RLIMIT_FSIZE), internal.
  Status write(std::uint64_t offset, std::span<const std::byte> bytes);
  // Waits for the disk, so that a crash after commit() cannot leave less than was written.
  // Failures: as write.
  Status sync();
  // Gives the file its name. The identity is what open() of that name finds, as long as nobody
  // replaces the file. Failures: as write.
  Result<FileIdentity> commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

// A whole small file, not waiting for the disk. Failures: as AtomicFile.
Status write_file(const std::string& path, std::string_view text);

}  // namespace inferneo
