// links: inferneo_runtimes_native
// The header of a file of packed weights: arbitrary bytes must be refused or describe exactly the
// file that they are.
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "runtimes/native/packed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  using namespace inferneo::runtimes::native;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto header = parse_packed_header(bytes);
  if (!header) {
    CHECK(header.error().code() == StatusCode::kCorruptData);
    CHECK(!header.error().message().empty());
    return 0;
  }
  const std::uint64_t offset = packed_image_offset(header->image_size);
  CHECK(offset + header->image_size == size);
  // What is between the header's hash and the image is padding that nobody reads.
  const std::vector<std::byte> again = write_packed_header(*header);
  CHECK(again.size() == offset);
  CHECK(parse_packed_header(bytes)->chunk_hashes == header->chunk_hashes);
  const std::size_t hashed = 64 + header->chunk_hashes.size() * 8 + 8;
  for (std::size_t i = 0; i < hashed; ++i) CHECK(again[i] == bytes[i]);
  return 0;
}
