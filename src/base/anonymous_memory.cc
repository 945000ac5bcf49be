#include "base/anonymous_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/error_text.h"
#include "base/str.h"

namespace inferneo {
namespace {

// Huge pages pay from a few of them on; smaller buffers would only waste memory.
constexpr std::size_t kHugePageAdviceSizeMin = 4 * 1024 * 1024;

std::size_t physical_memory_size() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page_size > 0
             ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_size)
             : 0;
}

}  // namespace

Result<AnonymousMemory> AnonymousMemory::allocate(std::size_t size, std::string_view what) {
  if (size == 0) return AnonymousMemory();
  const std::size_t physical = physical_memory_size();
  // Why: memory is touched lazily, so an impossible size would otherwise only fail in mid-request,
  // by a signal.
  if (physical > 0 && size > physical) {
    return resource_exhausted(
        str(what, " needs ", size, " bytes; this machine has ", physical, " bytes of memory"));
  }
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return resource_exhausted(
        str("cannot allocate ", size, " bytes for ", what, ": ", error_text(errno)));
  }
  // Advice only: a kernel without huge pages refuses it and nothing changes.
  if (size >= kHugePageAdviceSizeMin) ::madvise(data, size, MADV_HUGEPAGE);
  return AnonymousMemory(static_cast<std::byte*>(data), size);
}

void AnonymousMemory::keep(std::size_t offset, std::size_t kept, std::size_t dropped) const {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t up = (offset + kept + page - 1) / page * page;
  const std::size_t down = (offset + kept + dropped) / page * page;
  const std::size_t begin = (offset + page - 1) / page * page;
  // Why the advice as well: a huge page that begins in what stays would otherwise bring back, at
  // the next touch, up to 2 MiB of what was dropped. All are advice: a kernel that does not follow
  // it costs memory and nothing else.
  if (size_ >= kHugePageAdviceSizeMin && up > begin) {
    ::madvise(data_ + begin, up - begin, MADV_HUGEPAGE);
  }
  if (down <= up) return;
  ::madvise(data_ + up, down - up, MADV_DONTNEED);
  if (size_ >= kHugePageAdviceSizeMin) ::madvise(data_ + up, down - up, MADV_NOHUGEPAGE);
}

AnonymousMemory::~AnonymousMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace inferneo
