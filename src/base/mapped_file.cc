#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error_text.h"
#include "base/str.h"

namespace inferneo {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Status errno_status(const std::string& path, int error) {
  const std::string message = str("cannot open ", path, ": ", error_text(error));
  if (error == ENOENT || error == ENOTDIR) return not_found(message);
  if (error == EACCES || error == EPERM) return permission_denied(message);
  return internal_error(message);
}

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

FileIdentity identity_of(const struct stat& info) {
  return {info.st_dev,
          info.st_ino,
          static_cast<std::uint64_t>(info.st_size),
          nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

// Why: O_NONBLOCK keeps open() of a FIFO from waiting for a writer; the type is checked after.
Result<FileIdentity> open_regular(const std::string& path, int fd, int open_errno) {
  if (fd < 0) return errno_status(path, open_errno);
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_status(path, errno);
  if (!S_ISREG(info.st_mode)) return invalid_argument(str(path, " is not a regular file"));
  return identity_of(info);
}

}  // namespace

std::string FileIdentity::to_string() const {
  return str(device, ' ', inode, ' ', size, ' ', content_changed_ns, ' ', status_changed_ns);
}

Result<FileIdentity> identify_file(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    return internal_error(str("cannot look at an open file: ", error_text(errno)));
  }
  return identity_of(info);
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  ASSIGN_OR_RETURN(const FileIdentity identity, open_regular(path, fd.get(), errno));
  if (identity.size == 0) return MappedFile(path, identity, nullptr);
  void* data = ::mmap(nullptr, identity.size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    return internal_error(str("cannot map ", path, ": ", error_text(errno)));
  }
  return MappedFile(path, identity, static_cast<const std::byte*>(data));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      identity_(other.identity_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    std::swap(path_, other.path_);
    std::swap(identity_, other.identity_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::prefer_huge_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_HUGEPAGE);
}

Result<std::string> read_file(const std::string& path, std::size_t size_max) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  ASSIGN_OR_RETURN(const FileIdentity identity, open_regular(path, fd.get(), errno));
  const std::size_t size = identity.size;
  if (size > size_max) {
    return resource_exhausted(
        str(path, " has ", size, " bytes, more than the limit of ", size_max));
  }
  std::string text(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::read(fd.get(), text.data() + filled, size - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_status(path, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  return text;
}

}  // namespace inferneo
