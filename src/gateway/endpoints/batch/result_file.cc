#include "gateway/endpoints/batch/result_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "base/error_text.h"
#include "base/str.h"
#include "gateway/endpoints/batch/runner.h"

namespace inferneo::gateway::endpoints::batch {
namespace {

Status failure(std::string_view what, const std::string& path, int error) {
  const std::string message = str("cannot ", what, " ", path, ": ", error_text(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return resource_exhausted(message);
  if (error == ENOENT) return not_found(message);
  if (error == EACCES || error == EPERM || error == EROFS) {
    return Status(StatusCode::kPermissionDenied, message);
  }
  return internal_error(message);
}

}  // namespace

Result<ResultFile> ResultFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return failure("open", path, errno);
  ResultFile file(path, fd);
  RETURN_IF_ERROR(file.read_lines());
  return file;
}

ResultFile::ResultFile(ResultFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      line_count_(other.line_count_),
      failed_count_(other.failed_count_),
      done_(std::move(other.done_)) {}

ResultFile::~ResultFile() {
  if (fd_ >= 0) ::close(fd_);
}

// A line without its end was being written when the run was interrupted: it is cut off.
Status ResultFile::read_lines() {
  std::ifstream in(path_, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    if (in.eof()) break;
    ++line_count_;
    std::optional<PastResult> result = read_result(line);
    if (!result) {
      return Status(
                 StatusCode::kFailedPrecondition,
                 str(path_, " holds something else than results of a batch, in line ", line_count_))
          .with_hint("name another file, or remove it");
    }
    if (!result->ok) ++failed_count_;
    done_.insert(std::move(result->custom_id));
    size_ += line.size() + 1;
  }
  if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return failure("cut", path_, errno);
  return ok_status();
}

Status ResultFile::append(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::pwrite(
        fd_, text.data() + written, text.size() - written, static_cast<off_t>(size_ + written));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure("write", path_, errno);
    written += static_cast<std::size_t>(count);
  }
  size_ += text.size();
  return ok_status();
}

Status ResultFile::sync() {
  return ::fsync(fd_) == 0 ? ok_status() : failure("sync", path_, errno);
}

}  // namespace inferneo::gateway::endpoints::batch
