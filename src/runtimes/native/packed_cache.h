// Packed weights on disk: what one start has packed, the next maps. A directory of this user alone:
//   key                      16 random bytes that key the digests of sources
//   SOURCE-ID.source         the digest of what the files of this identity hold
//   PLAN-SOURCE.packed       an image (packed_file.h)
//   PLAN-SOURCE.used         that the image was found whole since the machine started; its time of
//                            change says when the image was last used
// What is guaranteed: an image is used only when it was packed, by this version of the program and
// for these kernels, from exactly the bytes that the model's matrices have now. Bytes are known by
// their digest; a file need not be read for it as long as device, inode, size, and times of change
// of content and of inode stay what they were when it was. Every byte of an image is checked
// against its hash before its first use after each start of the machine and after each change of
// its file.
// Everything here may be removed at any time. Files are written under other names and renamed when
// complete, so that writers do not disturb each other or readers; the last one wins.
// Thread: any. Several processes may share a directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>

#include "base/mapped_file.h"
#include "base/result.h"
#include "device/cpu.h"
#include "runtimes/native/content_hash.h"

namespace inferneo::runtimes::native {

// Where a user's packed weights belong: $XDG_CACHE_HOME/inferneo, else $HOME/.cache/inferneo, else
// /var/cache/inferneo.
std::string default_packed_cache_directory();

// Whether a change of the file from now on is certain to change its identity: the last one was long
// enough ago for the clock of the file system.
bool is_settled(const FileIdentity& identity);

// A file whose image was checked.
struct PackedImageFile {
  MappedFile file;
  std::span<const std::byte> image;
};

class PackedCache {
 public:
  // Makes the directory. Failures: permission_denied when others may write to it, and those of the
  // file system.
  static Result<PackedCache> open(std::string directory, std::uint64_t bytes_max);

  [[nodiscard]] const HashKey& key() const { return key_; }

  // The digest of a source by its identity (any text); empty when it is not known.
  [[nodiscard]] std::optional<Digest> find_source(const std::string& identity) const;
  void remember_source(const std::string& identity, const Digest& digest) const;

  // Whether there is an image of this plan from any source.
  [[nodiscard]] bool has_plan(const Digest& plan) const;
  // Empty when there is none. One that is damaged is removed, with a line in the log.
  [[nodiscard]] std::optional<PackedImageFile> find(const Digest& plan,
                                                    const Digest& source,
                                                    std::uint64_t image_size,
                                                    device::CpuDevice& device) const;
  // Makes room by removing what was used least recently, then writes. May take as long as the disk
  // does; gives up soon when asked to stop. Failures: resource_exhausted (larger than the cache may
  // become, no space), cancelled, internal.
  [[nodiscard]] Status store(const Digest& plan,
                             const Digest& source,
                             std::span<const std::byte> image,
                             const std::stop_token& stop) const;

 private:
  PackedCache(std::string directory, std::uint64_t bytes_max, const HashKey& key)
      : directory_(std::move(directory)), bytes_max_(bytes_max), key_(key) {}
  [[nodiscard]] std::string source_path(const std::string& identity) const;
  [[nodiscard]] std::string image_path(const Digest& plan, const Digest& source) const;
  [[nodiscard]] Result<PackedImageFile> open_image(const std::string& path,
                                                   const Digest& plan,
                                                   const Digest& source,
                                                   std::uint64_t image_size,
                                                   device::CpuDevice& device) const;
  void make_room(std::uint64_t size) const;

  std::string directory_;
  std::uint64_t bytes_max_ = 0;
  HashKey key_;
};

}  // namespace inferneo::runtimes::native
