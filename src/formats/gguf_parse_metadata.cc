// The metadata of a GGUF file: keys with typed values.
#include <limits>
#include <utility>

#include "base/limits.h"
#include "formats/gguf_parse.h"
#include "formats/gguf_types.h"

namespace inferneo::formats {
namespace {

std::string key_text(std::string_view key) { return str("key \"", printable(key, 160), "\""); }

// One value of the entry at hand.
class ValueReader {
 public:
  ValueReader(GgufCursor& cursor, std::string_view key, std::size_t& elements_left)
      : cursor_(cursor), key_(key), elements_left_(elements_left) {}

  Result<GgufValue> read() {
    std::uint32_t type = 0;
    if (!cursor_.read(type)) return cursor_.past_end(str("the type of ", key_text(key_)));
    if (type == static_cast<std::uint32_t>(GgufType::kArray)) return array();
    switch (GgufType{type}) {
      case GgufType::kU8:
        return number<std::uint8_t, std::uint64_t>();
      case GgufType::kU16:
        return number<std::uint16_t, std::uint64_t>();
      case GgufType::kU32:
        return number<std::uint32_t, std::uint64_t>();
      case GgufType::kU64:
        return number<std::uint64_t, std::uint64_t>();
      case GgufType::kI8:
        return number<std::int8_t, std::int64_t>();
      case GgufType::kI16:
        return number<std::int16_t, std::int64_t>();
      case GgufType::kI32:
        return number<std::int32_t, std::int64_t>();
      case GgufType::kI64:
        return number<std::int64_t, std::int64_t>();
      case GgufType::kF32:
        return number<float, double>();
      case GgufType::kF64:
        return number<double, double>();
      case GgufType::kBool:
        return boolean();
      case GgufType::kString:
        return text();
      default:
        return unknown_type(type);
    }
  }

 private:
  Status failure(std::string_view what) const {
    return corrupt_data(str(key_text(key_), " at byte ", cursor_.position(), " ", what));
  }
  Status unknown_type(std::uint32_t type) const {
    return failure(str("has values of the unknown type ", type));
  }

  template <typename Stored, typename Kept>
  Result<GgufValue> number() {
    Stored value{};
    if (!cursor_.read(value)) return cursor_.past_end(str("the value of ", key_text(key_)));
    return GgufValue(static_cast<Kept>(value));
  }

  Result<GgufValue> boolean() {
    std::uint8_t value = 0;
    if (!cursor_.read(value)) return cursor_.past_end(str("the value of ", key_text(key_)));
    if (value > 1) return failure(str("ends a bool with the value ", value));
    return GgufValue(value == 1);
  }

  Result<GgufValue> text() {
    std::string_view value;
    if (!cursor_.read_text(value)) {
      return cursor_.text_past_end(str("the string of ", key_text(key_)));
    }
    return GgufValue(value);
  }

  Result<GgufValue> array() {
    std::uint32_t type = 0;
    std::uint64_t count = 0;
    if (!cursor_.read(type) || !cursor_.read(count)) {
      return cursor_.past_end(str("the array of ", key_text(key_)));
    }
    if (type == static_cast<std::uint32_t>(GgufType::kArray)) {
      return unsupported(
          str(key_text(key_), " at byte ", cursor_.position(), " is an array of arrays"));
    }
    const std::size_t size_min = gguf_type_size_min(type);
    if (size_min == 0) return unknown_type(type);
    if (count > cursor_.remaining() / size_min) {
      return failure(str("claims ",
                         count,
                         " elements, more than the ",
                         cursor_.remaining(),
                         " bytes that the file has left can hold"));
    }
    if (count > elements_left_) {
      return resource_exhausted(str(key_text(key_),
                                    " at byte ",
                                    cursor_.position(),
                                    " has ",
                                    count,
                                    " elements; all arrays of a file may have ",
                                    limits::kGgufArrayElementCountMax));
    }
    elements_left_ -= static_cast<std::size_t>(count);
    return elements(GgufType{type}, static_cast<std::size_t>(count));
  }

  Result<GgufValue> elements(GgufType type, std::size_t count) {
    switch (type) {
      case GgufType::kU8:
        return numbers<std::uint8_t, std::int64_t>(count);
      case GgufType::kI8:
        return numbers<std::int8_t, std::int64_t>(count);
      case GgufType::kU16:
        return numbers<std::uint16_t, std::int64_t>(count);
      case GgufType::kI16:
        return numbers<std::int16_t, std::int64_t>(count);
      case GgufType::kU32:
        return numbers<std::uint32_t, std::int64_t>(count);
      case GgufType::kI32:
        return numbers<std::int32_t, std::int64_t>(count);
      case GgufType::kU64:
        return numbers<std::uint64_t, std::int64_t>(count);
      case GgufType::kI64:
        return numbers<std::int64_t, std::int64_t>(count);
      case GgufType::kF32:
        return numbers<float, double>(count);
      case GgufType::kF64:
        return numbers<double, double>(count);
      case GgufType::kBool:
        return numbers<bool, std::int64_t>(count);
      default:
        return texts(count);
    }
  }

  // Precondition: the elements lie in the file.
  template <typename Stored, typename Kept>
  Result<GgufValue> numbers(std::size_t count) {
    using Bytes = std::conditional_t<std::is_same_v<Stored, bool>, std::uint8_t, Stored>;
    std::vector<Kept> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      Bytes value{};
      if (!cursor_.read(value)) return cursor_.past_end(str("the array of ", key_text(key_)));
      if constexpr (std::is_same_v<Stored, bool>) {
        if (value > 1) return failure(str("has a bool with the value ", value));
      }
      if constexpr (std::is_same_v<Stored, std::uint64_t>) {
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
          return failure(str("has the number ", value, ", which does not fit in 63 bits"));
        }
      }
      values[i] = static_cast<Kept>(value);
    }
    return GgufValue(GgufNumbers(std::move(values)));
  }

  Result<GgufValue> texts(std::size_t count) {
    std::vector<std::string_view> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (!cursor_.read_text(values[i])) {
        return cursor_.text_past_end(str("string ", i, " of ", key_text(key_)));
      }
    }
    return GgufValue(std::move(values));
  }

  GgufCursor& cursor_;
  std::string_view key_;
  std::size_t& elements_left_;
};

}  // namespace

Status read_gguf_metadata(GgufCursor& cursor, std::uint64_t count, GgufMetadata& metadata) {
  std::size_t elements_left = limits::kGgufArrayElementCountMax;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t position = cursor.position();
    std::string_view key;
    if (!cursor.read_text(key)) {
      return cursor.text_past_end(str("the key of metadata entry ", i));
    }
    if (key.empty() || key.size() > limits::kGgufKeySizeMax) {
      return corrupt_data(str("metadata entry ",
                              i,
                              " at byte ",
                              position,
                              " has a key of ",
                              key.size(),
                              " bytes; 1 to ",
                              limits::kGgufKeySizeMax,
                              " are allowed"));
    }
    if (metadata.find(key) != nullptr) {
      return corrupt_data(str(key_text(key), " at byte ", position, " appears a second time"));
    }
    ASSIGN_OR_RETURN(GgufValue value, ValueReader(cursor, key, elements_left).read());
    metadata.entries().emplace(key, std::move(value));
  }
  return ok_status();
}

}  // namespace inferneo::formats
