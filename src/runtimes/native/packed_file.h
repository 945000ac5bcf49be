// The file that holds an image of packed weights: a header, then the image from a page border on.
// Little-endian:
//   0  magic "INFPACK1"       8  format version (u32), zero (u32)
//   16 plan digest            32 source digest          48 image size (u64), chunk size (u64)
//   64 hash of each chunk of the image (u64), then the hash of all that precedes
// Digests and hashes are those of content_hash.h; hashes use the key 0.
// A file is outside data: anything may be in it.
// Thread: any (pure functions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtimes/native/content_hash.h"

namespace inferneo::runtimes::native {

inline constexpr std::size_t kPackedChunkSize = 1 << 20;

struct PackedFileHeader {
  Digest plan{};    // how it is laid out, and by which program
  Digest source{};  // what it was packed from
  std::uint64_t image_size = 0;
  std::vector<std::uint64_t> chunk_hashes;  // Shape: [image_size / kPackedChunkSize, rounded up]
};

// Where the image begins; a multiple of the page size.
std::uint64_t packed_image_offset(std::uint64_t image_size);
// packed_image_offset bytes.
std::vector<std::byte> write_packed_header(const PackedFileHeader& header);
// Checks everything but the image itself. Failures: corrupt_data saying what is wrong.
Result<PackedFileHeader> parse_packed_header(std::span<const std::byte> file);

}  // namespace inferneo::runtimes::native
