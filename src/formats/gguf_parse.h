// The two lists of a GGUF header; used by parse_gguf only.
// Thread: any (pure functions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/gguf.h"
#include "formats/gguf_cursor.h"

namespace inferneo::formats {

// Reads `count` entries. Failures: corrupt_data, unsupported (nested arrays), resource_exhausted,
// each with the key and the byte.
Status read_gguf_metadata(GgufCursor& cursor, std::uint64_t count, GgufMetadata& metadata);

// Reads `count` descriptions of tensors and checks that their data follow each other in the file,
// each at the next multiple of `alignment`, as the reference demands. Failures: corrupt_data,
// unsupported (type), resource_exhausted, each with the tensor and the byte.
Status read_gguf_tensors(GgufCursor& cursor,
                         std::uint64_t count,
                         std::uint64_t alignment,
                         std::span<const std::byte> file,
                         tensor::WeightMap& weights);

}  // namespace inferneo::formats
