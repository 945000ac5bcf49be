#include "runtimes/native/packed_file.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "base/str.h"

namespace inferneo::runtimes::native {
namespace {

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint32_t kFormatVersion = 1;

struct FixedHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t zero;
  Digest plan;
  Digest source;
  std::uint64_t image_size;
  std::uint64_t chunk_size;
};
static_assert(sizeof(FixedHeader) == 64);

constexpr std::array<char, 8> kMagic = {'I', 'N', 'F', 'P', 'A', 'C', 'K', '1'};

std::uint64_t chunk_count(std::uint64_t image_size) {
  return image_size / kPackedChunkSize + (image_size % kPackedChunkSize != 0 ? 1 : 0);
}

// Bytes up to the header's own hash.
std::uint64_t hashed_size(std::uint64_t image_size) {
  return sizeof(FixedHeader) + chunk_count(image_size) * sizeof(std::uint64_t);
}

}  // namespace

std::uint64_t packed_image_offset(std::uint64_t image_size) {
  const std::uint64_t size = hashed_size(image_size) + sizeof(std::uint64_t);
  return (size + kPageSize - 1) / kPageSize * kPageSize;
}

std::vector<std::byte> write_packed_header(const PackedFileHeader& header) {
  CHECK(header.chunk_hashes.size() == chunk_count(header.image_size));
  std::vector<std::byte> bytes(packed_image_offset(header.image_size));
  const FixedHeader fixed = {
      kMagic, kFormatVersion, 0, header.plan, header.source, header.image_size, kPackedChunkSize};
  std::memcpy(bytes.data(), &fixed, sizeof(fixed));
  const std::size_t size = hashed_size(header.image_size);
  if (!header.chunk_hashes.empty()) {
    std::memcpy(bytes.data() + sizeof(fixed), header.chunk_hashes.data(), size - sizeof(fixed));
  }
  const std::uint64_t hash = content_hash(std::span(bytes).first(size), {});
  std::memcpy(bytes.data() + size, &hash, sizeof(hash));
  return bytes;
}

Result<PackedFileHeader> parse_packed_header(std::span<const std::byte> file) {
  FixedHeader fixed{};
  if (file.size() < sizeof(fixed)) {
    return corrupt_data(str("only ", file.size(), " bytes, less than a header"));
  }
  std::memcpy(&fixed, file.data(), sizeof(fixed));
  if (fixed.magic != kMagic) return corrupt_data("not a file of packed weights");
  if (fixed.version != kFormatVersion || fixed.zero != 0) {
    return corrupt_data(str("format version ", fixed.version, ", not ", kFormatVersion));
  }
  if (fixed.chunk_size != kPackedChunkSize) {
    return corrupt_data(str("chunks of ", fixed.chunk_size, " bytes"));
  }
  // The first test keeps the second from overflowing.
  if (fixed.image_size > file.size() ||
      packed_image_offset(fixed.image_size) + fixed.image_size != file.size()) {
    return corrupt_data(
        str(file.size(), " bytes do not fit an image of ", fixed.image_size, " bytes"));
  }
  const std::size_t size = hashed_size(fixed.image_size);
  std::uint64_t hash = 0;
  std::memcpy(&hash, file.data() + size, sizeof(hash));
  if (hash != content_hash(file.first(size), {})) {
    return corrupt_data("the header does not match its hash");
  }
  PackedFileHeader header{fixed.plan, fixed.source, fixed.image_size, {}};
  header.chunk_hashes.resize(chunk_count(fixed.image_size));
  if (!header.chunk_hashes.empty()) {
    std::memcpy(header.chunk_hashes.data(), file.data() + sizeof(fixed), size - sizeof(fixed));
  }
  return header;
}

}  // namespace inferneo::runtimes::native
