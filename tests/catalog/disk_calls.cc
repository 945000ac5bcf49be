#include "disk_calls.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <utility>

namespace inferneo::catalog_test {
namespace {

struct Watch {
  std::string directory;
  std::function<Verdict(const DiskCall&)> watcher;
};

Watch& current() {
  static Watch watch;
  return watch;
}

std::string path_of(int fd) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), path, sizeof(path));
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

// Asks the watcher. True when the call is to be carried out; else errno is set.
bool admit(DiskCall call, int fd) {
  Watch& watch = current();
  if (!watch.watcher) return true;
  if (fd >= 0) call.path = path_of(fd);
  if (!call.path.starts_with(watch.directory)) return true;
  const Verdict verdict = watch.watcher(call);
  if (verdict.kill_after_part) {
    if (call.kind == CallKind::kWrite) {
      ::syscall(SYS_pwrite64, fd, call.bytes.data(), call.bytes.size() / 2, call.offset);
    }
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
  if (verdict.error == 0) return true;
  errno = verdict.error;
  return false;
}

ssize_t write_at(int fd, const void* bytes, std::size_t size, off_t offset) {
  DiskCall call{.kind = CallKind::kWrite, .offset = offset};
  if (current().watcher) call.bytes.assign(static_cast<const char*>(bytes), size);
  if (!admit(std::move(call), fd)) return -1;
  return ::syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int truncate_to(int fd, off_t size) {
  if (!admit({.kind = CallKind::kTruncate, .offset = size}, fd)) return -1;
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}

}  // namespace

void watch_disk_calls(std::string directory, std::function<Verdict(const DiskCall&)> watcher) {
  current() = {std::move(directory), std::move(watcher)};
}

void stop_watching_disk_calls() { current() = {}; }

}  // namespace inferneo::catalog_test

// The replaced functions of the C library.
extern "C" {

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return inferneo::catalog_test::write_at(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  return inferneo::catalog_test::write_at(fd, bytes, size, offset);
}
int ftruncate(int fd, off_t size) noexcept { return inferneo::catalog_test::truncate_to(fd, size); }
int ftruncate64(int fd, off64_t size) noexcept {
  return inferneo::catalog_test::truncate_to(fd, size);
}
int fsync(int fd) {
  using namespace inferneo::catalog_test;
  if (!admit({.kind = CallKind::kSync}, fd)) return -1;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  using namespace inferneo::catalog_test;
  if (!admit({.kind = CallKind::kSync}, fd)) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int rename(const char* from, const char* to) noexcept {
  using namespace inferneo::catalog_test;
  if (!admit({.kind = CallKind::kRename, .path = from, .target = to}, -1)) return -1;
  return static_cast<int>(::syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}
int unlink(const char* path) noexcept {
  using namespace inferneo::catalog_test;
  if (!admit({.kind = CallKind::kUnlink, .path = path}, -1)) return -1;
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

}  // extern "C"
