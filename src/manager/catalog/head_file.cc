#include "manager/catalog/head_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "base/atomic_file.h"
#include "base/error_text.h"
#include "base/str.h"
#include "manager/catalog/row_hash.h"

namespace inferneo::manager::catalog {
namespace {

// Why 512: the smallest sector; a write within one is torn nowhere that we know of.
constexpr std::size_t kSlotSize = 512;
constexpr std::size_t kFileSize = 2 * kSlotSize;
constexpr std::uint64_t kMagic = 0x3144'4145'4846'4e49;  // "INFHEAD1"

struct Slot {
  std::uint64_t magic = 0;
  std::uint64_t revision = 0;
  std::uint64_t row_sum = 0;
  std::uint64_t check = 0;
};

std::uint64_t check_of(const Slot& slot) {
  RowHash hash;
  hash.add(slot.magic);
  hash.add(slot.revision);
  hash.add(slot.row_sum);
  return hash.value();
}

Slot slot_of(const Head& head) {
  Slot slot{.magic = kMagic, .revision = head.revision, .row_sum = head.row_sum};
  slot.check = check_of(slot);
  return slot;
}

std::optional<Head> head_of(const std::string& bytes, std::size_t offset) {
  Slot slot;
  if (bytes.size() < offset + sizeof(slot)) return std::nullopt;
  std::memcpy(&slot, bytes.data() + offset, sizeof(slot));
  if (slot.magic != kMagic || slot.check != check_of(slot)) return std::nullopt;
  return Head{slot.revision, slot.row_sum};
}

Status write_failure(int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return resource_exhausted("the disk that holds the catalog is full");
  }
  return internal_error(str("cannot write the catalog's head file: ", error_text(error)));
}

}  // namespace

Result<std::optional<Head>> HeadFile::read(const std::string& path) {
  Result<std::string> bytes = read_file(path, kFileSize);
  if (!bytes.has_value()) {
    if (bytes.error().code() == StatusCode::kNotFound) return std::optional<Head>();
    if (bytes.error().code() == StatusCode::kResourceExhausted) {
      return corrupt_data(str("'", path, "' is larger than it can be"));
    }
    return std::move(bytes).error();
  }
  const std::optional<Head> first = head_of(*bytes, 0);
  const std::optional<Head> second = head_of(*bytes, kSlotSize);
  if (!first && !second) return corrupt_data(str("'", path, "' is damaged"));
  if (!first || (second && second->revision > first->revision)) return second;
  return first;
}

Status HeadFile::create(const std::string& path, const Head& head) {
  std::array<std::byte, kFileSize> bytes{};
  const Slot slot = slot_of(head);
  std::memcpy(bytes.data(), &slot, sizeof(slot));
  std::memcpy(bytes.data() + kSlotSize, &slot, sizeof(slot));
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  RETURN_IF_ERROR(file.write(0, bytes));
  RETURN_IF_ERROR(file.sync());
  ASSIGN_OR_RETURN([[maybe_unused]] const FileIdentity identity, file.commit());
  return sync_directory_of(path);
}

Result<HeadFile> HeadFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0) return HeadFile(fd);
  const std::string text = str("cannot open '", path, "': ", error_text(errno));
  if (errno == ENOENT) return not_found(text);
  if (errno == EACCES || errno == EPERM || errno == EROFS) return permission_denied(text);
  return internal_error(text);
}

HeadFile::HeadFile(HeadFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

HeadFile& HeadFile::operator=(HeadFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

HeadFile::~HeadFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status HeadFile::write(const Head& head) {
  const Slot slot = slot_of(head);
  const auto offset = static_cast<off_t>((head.revision % 2) * kSlotSize);
  const auto bytes = std::as_bytes(std::span(&slot, 1));
  ssize_t written = 0;
  do {
    written = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
  } while (written < 0 && errno == EINTR);
  if (written < 0) return write_failure(errno);
  if (static_cast<std::size_t>(written) != bytes.size()) return write_failure(ENOSPC);
  if (::fdatasync(fd_) != 0) return write_failure(errno);
  return ok_status();
}

Status sync_directory_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string directory = parent.empty() ? std::string(".") : parent.string();
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return internal_error(str("cannot open '", directory, "': ", error_text(errno)));
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result == 0 || error == EINVAL) return ok_status();  // some file systems have nothing to do
  return internal_error(str("cannot sync '", directory, "': ", error_text(error)));
}

}  // namespace inferneo::manager::catalog
