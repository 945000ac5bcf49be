#include "manager/catalog/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "base/error_text.h"
#include "base/mapped_file.h"
#include "base/str.h"

namespace inferneo::manager::catalog {
namespace {

constexpr std::size_t kTextSizeMax = 1024;

bool try_lock(int fd) {
  int result = 0;
  do {
    result = ::flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

Status held_by_other(const std::string& path) {
  const LockOwner owner = LockFile::read_owner(path);
  std::string who = "another process";
  if (owner.process_id != 0) who = str("process ", owner.process_id);
  if (!owner.url.empty()) who += str(" (the server at ", owner.url, ")");
  Status status = unavailable(str("the catalog is in use by ",
                                  who,
                                  ", and one process at a time "
                                  "may hold it: '",
                                  path,
                                  "'"));
  return std::move(status).with_where("catalog").with_hint(
      owner.url.empty() ? "stop that process, or choose another store with --catalog"
                        : str("talk to it with --address ",
                              owner.url,
                              ", stop it, or choose another store with --catalog"));
}

}  // namespace

std::string lock_path(const std::string& database_path) { return database_path + ".lock"; }

Result<LockFile> LockFile::acquire(const std::string& path, std::string_view url) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    const int error = errno;
    const std::string text = str("cannot open '", path, "': ", error_text(error));
    if (error == ENOENT) return not_found(text);
    if (error == EACCES || error == EPERM || error == EROFS || error == ELOOP) {
      return permission_denied(text);
    }
    if (error == ENOSPC || error == EDQUOT) return resource_exhausted(text);
    return internal_error(text);
  }
  LockFile lock(fd);
  if (!try_lock(fd)) {
    if (errno == EWOULDBLOCK) return held_by_other(path);
    return internal_error(str("cannot lock '", path, "': ", error_text(errno)));
  }
  RETURN_IF_ERROR(lock.set_url(url));
  return lock;
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

// Not a promise to anyone: on a full disk the text is missing and the lock still holds.
Status LockFile::set_url(std::string_view url) {
  const std::string text = str(static_cast<std::int64_t>(::getpid()), "\n", url, "\n");
  if (::ftruncate(fd_, 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(fd_, text.data(), text.size(), 0);
  }
  return ok_status();
}

LockOwner LockFile::read_owner(const std::string& path) {
  LockOwner owner;
  const Result<std::string> text = read_file(path, kTextSizeMax);
  if (!text.has_value()) return owner;
  const std::size_t line_end = text->find('\n');
  if (line_end == std::string::npos) return owner;
  std::from_chars(text->data(), text->data() + line_end, owner.process_id);
  const std::size_t url_end = text->find('\n', line_end + 1);
  if (url_end != std::string::npos) {
    owner.url = printable(text->substr(line_end + 1, url_end - line_end - 1), kTextSizeMax);
  }
  return owner;
}

}  // namespace inferneo::manager::catalog
