// A regular file mapped read-only into memory: how weights reach the kernels without a copy.
// Refuses anything but a regular file (a FIFO or device in a model directory must not hang the
// loader). The mapping stays valid until destruction; a file that another process truncates while
// mapped raises SIGBUS, so models are to be replaced by rename and never written in place.
// Thread: any after creation. Ownership: move-only, unmaps on destruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace inferneo {

// Which file it is and which state of it: any write, truncation or replacement changes it, as far
// as the clock of the file system tells two moments apart (a few milliseconds).
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t content_changed_ns = 0;  // since 1970
  std::int64_t status_changed_ns = 0;   // the same; programs cannot set it back

  bool operator==(const FileIdentity&) const = default;
  // Five numbers.
  [[nodiscard]] std::string to_string() const;
};
// Of an open descriptor. Failures: internal.
Result<FileIdentity> identify_file(int fd);

class MappedFile {
 public:
  // Failures: not_found, permission_denied, invalid_argument (not a regular file), internal.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  // Has the system read the file into huge pages, as far as it can, and map those. For what is read
  // whole and often: a page fault may then make 2 MiB resident.
  void prefer_huge_pages() const;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }
  // As it was when it was opened.
  [[nodiscard]] const FileIdentity& identity() const { return identity_; }

 private:
  MappedFile(std::string path, const FileIdentity& identity, const std::byte* data)
      : path_(std::move(path)), identity_(identity), data_(data), size_(identity.size) {}

  std::string path_;
  FileIdentity identity_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Reads a whole regular file of at most `size_max` bytes (configuration-sized documents).
// Failures: as MappedFile::open, and resource_exhausted when it is larger.
Result<std::string> read_file(const std::string& path, std::size_t size_max);

}  // namespace inferneo
