// A regular file mapped read-only into memory: how weights reach the kernels without a copy.
// Refuses anything but a regular file (a FIFO or device in a model directory must not hang the
// loader). The mapping stays valid until destruction; a file that another process truncates while
// mapped raises SIGBUS, so models are to be replaced by rename and never written in place.
// Thread: any after creation. Ownership: move-only, unmaps on destruction.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace inferneo {

class MappedFile {
 public:
  // Failures: not_found, permission_denied, invalid_argument (not a regular file), internal.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, const std::byte* data, std::size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Reads a whole regular file of at most `size_max` bytes (configuration-sized documents).
// Failures: as MappedFile::open, and resource_exhausted when it is larger.
Result<std::string> read_file(const std::string& path, std::size_t size_max);

}  // namespace inferneo
