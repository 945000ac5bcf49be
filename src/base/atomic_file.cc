#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/error_text.h"
#include "base/str.h"

namespace inferneo {
namespace {

Status write_failure(const std::string& path, int error) {
  const std::string message = str("cannot write ", path, ": ", error_text(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return not_found(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return permission_denied(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return resource_exhausted(message);
    default:
      return internal_error(message);
  }
}

// Why asked beforehand: a write beyond RLIMIT_FSIZE ends the process with a signal.
bool is_above_size_limit(std::uint64_t end) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         end > limit.rlim_cur;
}

}  // namespace

Result<AtomicFile> AtomicFile::create(std::string path) {
  static std::atomic<std::uint64_t> counter{0};
  std::string temporary = str(path, '.', ::getpid(), '.', counter.fetch_add(1), kSuffix);
  // Left over from a process that had this number before, if it is there at all.
  ::unlink(temporary.c_str());
  const int fd = ::open(
      temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return write_failure(path, errno);
  return AtomicFile(std::move(path), std::move(temporary), fd);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)) {
  other.temporary_.clear();
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::reserve(std::uint64_t size) {
  if (is_above_size_limit(size)) return write_failure(path_, EFBIG);
  int result = 0;
  do {
    result = ::fallocate(fd_, 0, 0, static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
    return write_failure(path_, errno);
  }
  return ok_status();
}

Status AtomicFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (is_above_size_limit(offset + bytes.size())) return write_failure(path_, EFBIG);
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return write_failure(path_, done < 0 ? errno : ENOSPC);
    offset += static_cast<std::uint64_t>(done);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return ok_status();
}

Status AtomicFile::sync() { return ::fsync(fd_) == 0 ? ok_status() : write_failure(path_, errno); }

Result<FileIdentity> AtomicFile::commit() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return write_failure(path_, errno);
  temporary_.clear();
  // Asked last: a rename changes the time of change.
  return identify_file(fd_);
}

Status write_file(const std::string& path, std::string_view text) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  RETURN_IF_ERROR(file.write(0, std::as_bytes(std::span(text))));
  return file.commit().status();
}

}  // namespace inferneo
