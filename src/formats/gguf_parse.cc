#include "formats/gguf_parse.h"

#include <bit>
#include <string_view>

#include "base/limits.h"

namespace inferneo::formats {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kDefaultAlignment = 32;
// Fewest bytes of an entry: lengths, types and counts with an empty name and value.
constexpr std::size_t kMetadataSizeMin = 8 + 4 + 1;
constexpr std::size_t kTensorSizeMin = 8 + 4 + 4 + 8;

std::string_view front_text(std::span<const std::byte> file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

Status read_version(GgufCursor& cursor, std::uint32_t& version) {
  std::uint32_t magic = 0;
  if (!cursor.read(magic) || !cursor.read(version)) return cursor.past_end("the GGUF header");
  // A big-endian file has the version, a small number, in the upper bytes.
  if ((version & 0xFFFF) == 0 && version != 0) {
    return unsupported(
               "the file is big-endian GGUF (its version, at byte 4, is in big-endian order); only "
               "little-endian files are read")
        .with_hint("convert it with gguf_convert_endian.py of llama.cpp");
  }
  if (version != 2 && version != 3) {
    return unsupported(str("GGUF version ", version, " at byte 4; versions 2 and 3 are read"))
        .with_hint("convert the model again with a current tool");
  }
  return ok_status();
}

// `what` is "metadata entries" or "tensors".
Status read_count(GgufCursor& cursor,
                  std::string_view what,
                  std::size_t size_min,
                  std::size_t count_max,
                  std::uint64_t& count) {
  const std::size_t position = cursor.position();
  if (!cursor.read(count)) return cursor.past_end(str("the number of ", what));
  const std::string text = str(count, " ", what, " (byte ", position, ")");
  if (count > cursor.remaining() / size_min) {
    return corrupt_data(
        str(text, " cannot lie in the ", cursor.remaining(), " bytes that the file has left"));
  }
  if (count > count_max)
    return resource_exhausted(str(text, " are above the limit of ", count_max));
  return ok_status();
}

Result<std::uint64_t> alignment_of(const GgufMetadata& metadata) {
  constexpr std::string_view kKey = "general.alignment";
  ASSIGN_OR_RETURN(const auto value, metadata.integer(kKey));
  const auto alignment = value ? static_cast<std::uint64_t>(*value) : kDefaultAlignment;
  // Why 32 bits: the format gives the number in as many, and sums of offsets stay far below 64.
  if (alignment < 8 || alignment >> 32 != 0 || !std::has_single_bit(alignment)) {
    return corrupt_data(
        str("key \"", kKey, "\" is ", *value, "; it must be a power of two, 8 or more"));
  }
  return alignment;
}

}  // namespace

Result<GgufHeader> parse_gguf(std::span<const std::byte> file) {
  if (!front_text(file).starts_with(kMagic)) {
    return corrupt_data(str("the file of ", file.size(), " bytes does not begin with \"GGUF\""));
  }
  GgufCursor cursor(file);
  GgufHeader header;
  std::uint64_t tensor_count = 0;
  std::uint64_t metadata_count = 0;
  RETURN_IF_ERROR(read_version(cursor, header.version));
  RETURN_IF_ERROR(
      read_count(cursor, "tensors", kTensorSizeMin, limits::kTensorCountMax, tensor_count));
  RETURN_IF_ERROR(read_count(
      cursor, "metadata entries", kMetadataSizeMin, limits::kGgufMetadataCountMax, metadata_count));
  RETURN_IF_ERROR(read_gguf_metadata(cursor, metadata_count, header.metadata));
  ASSIGN_OR_RETURN(const std::uint64_t alignment, alignment_of(header.metadata));
  RETURN_IF_ERROR(read_gguf_tensors(cursor, tensor_count, alignment, file, header.weights));
  return header;
}

}  // namespace inferneo::formats
