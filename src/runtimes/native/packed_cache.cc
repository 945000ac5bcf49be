#include "runtimes/native/packed_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/atomic_file.h"
#include "base/error_text.h"
#include "base/log.h"
#include "base/str.h"
#include "runtimes/native/packed_file.h"

namespace inferneo::runtimes::native {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kImageSuffix = ".packed";
constexpr std::string_view kUsedSuffix = ".used";
constexpr std::string_view kSourceSuffix = ".source";
constexpr std::size_t kHexSize = 32;
// Small files: longer ones are not ours.
constexpr std::size_t kNoteSizeMax = 512;
// An image is written in pieces that end at multiples of this in the file. Why: the system caches
// what one call writes in pages as large as fit, and through huge ones weights are read 10 % faster
// (measured, decoding 1.1 GB).
constexpr std::uint64_t kPieceSize = 16 << 20;
// Age from which an unfinished file belongs to nobody: writers write all the time.
constexpr std::chrono::hours kLeftoverAge{1};

std::string directory_failure(const std::string& directory, const std::string& what) {
  return str("cannot keep packed weights in ", directory, ": ", what);
}

// Parents that are missing are made for this user alone too, as the XDG specification asks.
Status make_directory(const std::string& directory) {
  std::string path;
  for (const fs::path& part : fs::path(directory)) {
    path = (fs::path(path) / part).string();
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
      return permission_denied(directory_failure(directory, error_text(errno)));
    }
  }
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return permission_denied(directory_failure(directory, "it is not a directory"));
  }
  // Why: who can write there can choose this program's weights.
  if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return permission_denied(
        directory_failure(directory, "others may write there, or it belongs to somebody else"));
  }
  return ok_status();
}

std::optional<HashKey> read_key(const std::string& path) {
  const Result<std::string> text = read_file(path, sizeof(HashKey));
  if (!text || text->size() != sizeof(HashKey)) return std::nullopt;
  HashKey key;
  std::memcpy(&key, text->data(), sizeof(key));
  return key;
}

// Of two processes that make the key at once one wins, and the other's first image is not found
// again.
Result<HashKey> read_or_make_key(const std::string& path) {
  if (const auto key = read_key(path)) return *key;
  std::string bytes(sizeof(HashKey), '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return internal_error("no random numbers from the system");
  }
  RETURN_IF_ERROR(write_file(path, bytes));
  const auto key = read_key(path);
  if (!key) return internal_error(str("cannot read back ", path));
  return *key;
}

std::optional<Digest> parse_digest(std::string_view text) {
  if (text.size() != kHexSize) return std::nullopt;
  Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const char* begin = text.data() + i * 16;
    const auto [end, error] = std::from_chars(begin, begin + 16, digest[i], 16);
    if (error != std::errc() || end != begin + 16) return std::nullopt;
  }
  return digest;
}

// Changes whenever the machine starts; empty where the system does not say.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

// What a .used file says of an image that was found whole; empty when nothing can be said.
std::string mark_of(const FileIdentity& identity) {
  const std::string boot = boot_id();
  return boot.empty() ? std::string() : str(boot, ' ', identity.to_string(), '\n');
}

std::string used_path(const std::string& image_path) {
  return image_path.substr(0, image_path.size() - kImageSuffix.size()) + std::string(kUsedSuffix);
}

void remove_image(const std::string& path) {
  ::unlink(path.c_str());
  ::unlink(used_path(path).c_str());
}

bool is_whole(std::span<const std::byte> image,
              const PackedFileHeader& header,
              device::CpuDevice& device) {
  return chunk_hashes(image, kPackedChunkSize, {}, device) == header.chunk_hashes;
}

struct StoredImage {
  std::string path;
  std::uint64_t size = 0;
  fs::file_time_type last_used;
};

struct Listing {
  std::vector<StoredImage> images;  // least recently used first
  std::vector<std::string> sources;
  std::vector<std::string> leftovers;
};

// Files come and go while it looks; what is gone is left out.
Listing list_directory(const std::string& directory) {
  Listing listing;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string path = entries->path().string();
    std::error_code gone;
    const fs::file_time_type written = fs::last_write_time(path, gone);
    if (gone) continue;
    if (path.ends_with(AtomicFile::kSuffix)) {
      if (fs::file_time_type::clock::now() - written > kLeftoverAge) {
        listing.leftovers.push_back(path);
      }
    } else if (path.ends_with(kSourceSuffix)) {
      listing.sources.push_back(path);
    } else if (path.ends_with(kImageSuffix)) {
      const std::uint64_t size = fs::file_size(path, gone);
      if (gone) continue;
      const fs::file_time_type used = fs::last_write_time(used_path(path), gone);
      listing.images.push_back({path, size, gone ? written : std::max(used, written)});
    }
  }
  std::sort(listing.images.begin(), listing.images.end(), [](const auto& a, const auto& b) {
    return a.last_used < b.last_used;
  });
  return listing;
}

}  // namespace

std::string default_packed_cache_directory() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    // Spec: XDG base directories; a path that is not absolute is to be ignored.
    return std::string(value != nullptr && value[0] == '/' ? value : "");
  };
  const std::string cache = variable("XDG_CACHE_HOME");
  if (!cache.empty()) return cache + "/inferneo";
  const std::string home = variable("HOME");
  return home.empty() ? "/var/cache/inferneo" : home + "/.cache/inferneo";
}

bool is_settled(const FileIdentity& identity) {
  // Bound: file systems stamp times with a clock of at worst 10 ms.
  constexpr std::chrono::milliseconds kStampAge{50};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return now - std::chrono::nanoseconds(identity.status_changed_ns) > kStampAge;
}

Result<PackedCache> PackedCache::open(std::string directory, std::uint64_t bytes_max) {
  RETURN_IF_ERROR(make_directory(directory));
  ASSIGN_OR_RETURN(const HashKey key, read_or_make_key(directory + "/key"));
  return PackedCache(std::move(directory), bytes_max, key);
}

std::string PackedCache::source_path(const std::string& identity) const {
  const Digest name = content_digest(std::as_bytes(std::span(identity)), key_);
  return str(directory_, '/', to_hex(name), kSourceSuffix);
}

std::string PackedCache::image_path(const Digest& plan, const Digest& source) const {
  return str(directory_, '/', to_hex(plan), '-', to_hex(source), kImageSuffix);
}

std::optional<Digest> PackedCache::find_source(const std::string& identity) const {
  const Result<std::string> text = read_file(source_path(identity), kNoteSizeMax);
  return text ? parse_digest(*text) : std::nullopt;
}

void PackedCache::remember_source(const std::string& identity, const Digest& digest) const {
  const Status status = write_file(source_path(identity), to_hex(digest));
  if (!status.ok()) log::warning("packed_cache", status.message());
}

bool PackedCache::has_plan(const Digest& plan) const {
  const std::string prefix = to_hex(plan);
  const Listing listing = list_directory(directory_);
  return std::any_of(listing.images.begin(), listing.images.end(), [&](const StoredImage& image) {
    return fs::path(image.path).filename().string().starts_with(prefix);
  });
}

// Failures: not_found; others say what is wrong with the file.
Result<PackedImageFile> PackedCache::open_image(const std::string& path,
                                                const Digest& plan,
                                                const Digest& source,
                                                std::uint64_t image_size,
                                                device::CpuDevice& device) const {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  file.prefer_huge_pages();
  ASSIGN_OR_RETURN(const PackedFileHeader header, parse_packed_header(file.bytes()));
  if (header.plan != plan || header.source != source || header.image_size != image_size) {
    return corrupt_data("it holds another image than its name says");
  }
  const auto image = file.bytes().subspan(packed_image_offset(image_size));
  const std::string mark = mark_of(file.identity());
  const Result<std::string> used = read_file(used_path(path), kNoteSizeMax);
  if (mark.empty() || !used || *used != mark) {
    const bool settled = is_settled(file.identity());
    if (!is_whole(image, header, device)) return corrupt_data("bytes do not match their hash");
    if (settled && !mark.empty()) (void)write_file(used_path(path), mark);
  } else {
    (void)::utimensat(AT_FDCWD, used_path(path).c_str(), nullptr, 0);
  }
  return PackedImageFile{std::move(file), image};
}

std::optional<PackedImageFile> PackedCache::find(const Digest& plan,
                                                 const Digest& source,
                                                 std::uint64_t image_size,
                                                 device::CpuDevice& device) const {
  const std::string path = image_path(plan, source);
  Result<PackedImageFile> found = open_image(path, plan, source, image_size, device);
  if (found) return *std::move(found);
  if (found.error().code() == StatusCode::kCorruptData) {
    log::warning(
        "packed_cache",
        str(path, " is damaged (", found.error().message(), "); the weights are packed again"));
    remove_image(path);
  } else if (found.error().code() != StatusCode::kNotFound) {
    log::warning("packed_cache", found.error().message());
  }
  return std::nullopt;
}

void PackedCache::make_room(std::uint64_t size) const {
  Listing listing = list_directory(directory_);
  for (const std::string& path : listing.leftovers) ::unlink(path.c_str());
  std::uint64_t total = size;
  for (const StoredImage& image : listing.images) total += image.size;
  std::set<std::string> kept;
  for (const StoredImage& image : listing.images) {
    if (total > bytes_max_) {
      log::info("packed_cache", str("removing ", image.path, " to make room"));
      remove_image(image.path);
      total -= image.size;
      continue;
    }
    const std::string stem = fs::path(image.path).stem().string();
    kept.insert(stem.substr(stem.find('-') + 1));
  }
  for (const std::string& path : listing.sources) {
    const Result<std::string> digest = read_file(path, kNoteSizeMax);
    if (!digest || !kept.contains(*digest)) ::unlink(path.c_str());
  }
}

Status PackedCache::store(const Digest& plan,
                          const Digest& source,
                          std::span<const std::byte> image,
                          const std::stop_token& stop) const {
  const std::uint64_t offset = packed_image_offset(image.size());
  const std::uint64_t size = offset + image.size();
  if (size > bytes_max_) {
    return resource_exhausted(
        str(size, " bytes of packed weights are more than packed_cache_bytes_max, ", bytes_max_));
  }
  make_room(size);
  const std::string path = image_path(plan, source);
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  RETURN_IF_ERROR(file.reserve(size));
  PackedFileHeader header{plan, source, image.size(), {}};
  for (std::uint64_t at = 0; at < image.size(); at += kPackedChunkSize) {
    if (stop.stop_requested()) return cancelled("asked to stop");
    const auto chunk =
        image.subspan(at, std::min<std::uint64_t>(kPackedChunkSize, image.size() - at));
    header.chunk_hashes.push_back(content_hash(chunk, {}));
  }
  for (std::uint64_t at = 0; at < image.size();) {
    if (stop.stop_requested()) return cancelled("asked to stop");
    const std::uint64_t end = (offset + at) / kPieceSize * kPieceSize + kPieceSize - offset;
    const auto piece = image.subspan(at, std::min<std::uint64_t>(end, image.size()) - at);
    RETURN_IF_ERROR(file.write(offset + at, piece));
    at += piece.size();
  }
  RETURN_IF_ERROR(file.write(0, write_packed_header(header)));
  RETURN_IF_ERROR(file.sync());
  ASSIGN_OR_RETURN(const FileIdentity identity, file.commit());
  // What was just written is in memory as it was written.
  while (!is_settled(identity)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const std::string mark = mark_of(identity);
  return mark.empty() ? ok_status() : write_file(used_path(path), mark);
}

}  // namespace inferneo::runtimes::native
