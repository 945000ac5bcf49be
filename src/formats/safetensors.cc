#include "formats/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "formats/json_cursor.h"

namespace inferneo::formats {
namespace {

constexpr std::size_t kLengthSize = 8;
// Bound: real files have below ten; keeps the duplicate check cheap for hostile ones.
constexpr std::size_t kMetadataCountMax = 10'000;

// A tensor as the header describes it; offsets count from the start of the data.
struct Described {
  std::string name;
  std::size_t position = 0;  // of the description, in the file
  tensor::DType dtype = tensor::DType::kF32;
  tensor::Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::string quoted(std::string_view name) { return str("tensor \"", printable(name, 160), "\""); }

Status tensor_failure(const Described& tensor, std::string_view what) {
  return corrupt_data(
      str(quoted(tensor.name), " (described at byte ", tensor.position, ") ", what));
}

Result<std::string_view> header_text(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthSize) {
    return corrupt_data(str("file has ",
                            bytes.size(),
                            " bytes; a safetensors file begins with 8 bytes of header "
                            "length"));
  }
  std::uint64_t length = 0;
  for (std::size_t i = kLengthSize; i-- > 0;) {
    length = (length << 8) | std::to_integer<std::uint64_t>(bytes[i]);
  }
  if (length > bytes.size() - kLengthSize) {
    return corrupt_data(str("header length ",
                            length,
                            " at byte 0 reaches past the end of the file of ",
                            bytes.size(),
                            " bytes"));
  }
  if (length > limits::kSafetensorsHeaderSizeMax) {
    return resource_exhausted(str("header length ",
                                  length,
                                  " at byte 0 is above the limit of ",
                                  limits::kSafetensorsHeaderSizeMax));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthSize,
                              static_cast<std::size_t>(length));
  if (text.empty() || text.front() != '{') {
    return corrupt_data("header does not begin with '{' at byte 8");
  }
  return text;
}

Status read_metadata(JsonCursor& cursor) {
  std::set<std::string> keys;
  return read_object(cursor, [&](std::string key) -> Status {
    if (keys.size() == kMetadataCountMax) {
      return resource_exhausted(str("__metadata__ has more than ", kMetadataCountMax, " entries"));
    }
    if (!keys.insert(key).second) {
      return cursor.failure(str("duplicate key \"", printable(key), "\" in __metadata__"));
    }
    return cursor.string().status();
  });
}

Status read_shape(JsonCursor& cursor, Described& tensor) {
  std::vector<std::int64_t> dims;
  const auto read_dim = [&]() -> Status {
    ASSIGN_OR_RETURN(const std::uint64_t dim, cursor.unsigned_integer());
    if (dim > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return tensor_failure(tensor, str("has a dimension of ", dim));
    }
    if (dims.size() == tensor::kRankMax) {
      return unsupported(str(quoted(tensor.name),
                             " (described at byte ",
                             tensor.position,
                             ") has more than ",
                             tensor::kRankMax,
                             " dimensions"));
    }
    dims.push_back(static_cast<std::int64_t>(dim));
    return ok_status();
  };
  RETURN_IF_ERROR(read_array(cursor, read_dim));
  tensor.shape = tensor::Shape(dims);
  return ok_status();
}

Status read_offsets(JsonCursor& cursor, Described& tensor) {
  RETURN_IF_ERROR(cursor.expect('['));
  ASSIGN_OR_RETURN(tensor.begin, cursor.unsigned_integer());
  RETURN_IF_ERROR(cursor.expect(','));
  ASSIGN_OR_RETURN(tensor.end, cursor.unsigned_integer());
  return cursor.expect(']');
}

Status read_dtype(JsonCursor& cursor, Described& tensor) {
  ASSIGN_OR_RETURN(const std::string name, cursor.string());
  const auto dtype = tensor::dtype_from_safetensors(name);
  if (!dtype) {
    return unsupported(str(quoted(tensor.name),
                           " (described at byte ",
                           tensor.position,
                           ") has the element type \"",
                           printable(name),
                           "\", which this program does not know"));
  }
  tensor.dtype = *dtype;
  return ok_status();
}

Status read_tensor(JsonCursor& cursor, Described& tensor) {
  bool has_dtype = false;
  bool has_shape = false;
  bool has_offsets = false;
  const auto once = [&](bool& seen, std::string_view key) -> Status {
    if (std::exchange(seen, true)) return tensor_failure(tensor, str("has two values of ", key));
    return ok_status();
  };
  const auto read_member = [&](const std::string& key) -> Status {
    if (key == "dtype") {
      RETURN_IF_ERROR(once(has_dtype, key));
      return read_dtype(cursor, tensor);
    }
    if (key == "shape") {
      RETURN_IF_ERROR(once(has_shape, key));
      return read_shape(cursor, tensor);
    }
    if (key == "data_offsets") {
      RETURN_IF_ERROR(once(has_offsets, key));
      return read_offsets(cursor, tensor);
    }
    return tensor_failure(tensor, str("has the unknown key \"", printable(key), "\""));
  };
  RETURN_IF_ERROR(read_object(cursor, read_member));
  if (!has_dtype) return tensor_failure(tensor, "has no dtype");
  if (!has_shape) return tensor_failure(tensor, "has no shape");
  if (!has_offsets) return tensor_failure(tensor, "has no data_offsets");
  return ok_status();
}

// Bytes that dtype and shape ask for; empty when the product does not fit in 63 bits.
std::optional<std::uint64_t> byte_size(const Described& tensor) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t size = tensor::dtype_size(tensor.dtype);
  // Why all factors, also after a zero: every partial product of a Shape must fit.
  for (const std::int64_t dim : tensor.shape.dims()) {
    const auto factor = static_cast<std::uint64_t>(dim);
    if (factor > 1 && size > kMax / factor) return std::nullopt;
    size *= std::max<std::uint64_t>(factor, 1);
  }
  const auto dims = tensor.shape.dims();
  return std::find(dims.begin(), dims.end(), 0) != dims.end() ? 0 : size;
}

Status check_extent(const Described& tensor, std::uint64_t data_size) {
  const std::string offsets = str("data_offsets [", tensor.begin, ", ", tensor.end, "]");
  if (tensor.begin > tensor.end) return tensor_failure(tensor, str("has reversed ", offsets));
  if (tensor.end > data_size) {
    return tensor_failure(tensor,
                          str("has ",
                              offsets,
                              " past the end of the data of ",
                              data_size,
                              " bytes: the file is cut short or wrong"));
  }
  const auto size = byte_size(tensor);
  if (!size) {
    return tensor_failure(
        tensor,
        str("has the shape ", tensor.shape.to_string(), ", whose size does not fit in 63 bits"));
  }
  if (*size != tensor.end - tensor.begin) {
    return tensor_failure(tensor,
                          str("of type ",
                              tensor::dtype_name(tensor.dtype),
                              " and shape ",
                              tensor.shape.to_string(),
                              " needs ",
                              *size,
                              " bytes, but its ",
                              offsets,
                              " hold ",
                              tensor.end - tensor.begin));
  }
  return ok_status();
}

Status check_names(const std::vector<Described>& tensors) {
  std::vector<const Described*> by_name;
  by_name.reserve(tensors.size());
  for (const Described& tensor : tensors) by_name.push_back(&tensor);
  std::sort(by_name.begin(), by_name.end(), [](const Described* a, const Described* b) {
    return std::tie(a->name, a->position) < std::tie(b->name, b->position);
  });
  for (std::size_t i = 1; i < by_name.size(); ++i) {
    if (by_name[i]->name == by_name[i - 1]->name) {
      return tensor_failure(*by_name[i],
                            str("was already described at byte ", by_name[i - 1]->position));
    }
  }
  return ok_status();
}

// Sorts by position and checks that the tensors cover [0, data_size) exactly.
Status check_coverage(std::vector<Described>& tensors,
                      std::uint64_t data_size,
                      std::uint64_t data_begin) {
  std::sort(tensors.begin(), tensors.end(), [](const Described& a, const Described& b) {
    return std::tie(a.begin, a.end, a.position) < std::tie(b.begin, b.end, b.position);
  });
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Described& tensor = tensors[i];
    if (tensor.begin < covered) {
      return tensor_failure(
          tensor,
          str("overlaps ", quoted(tensors[i - 1].name), " at byte ", data_begin + tensor.begin));
    }
    if (tensor.begin > covered) {
      return tensor_failure(tensor,
                            str("begins at byte ",
                                data_begin + tensor.begin,
                                " after a gap of ",
                                tensor.begin - covered,
                                " bytes that no tensor owns"));
    }
    covered = tensor.end;
  }
  if (covered != data_size) {
    return corrupt_data(
        str("the file has ",
            data_size - covered,
            " bytes after its last tensor",
            tensors.empty() ? std::string() : str(", ", quoted(tensors.back().name)),
            ", at byte ",
            data_begin + covered));
  }
  return ok_status();
}

Result<std::vector<Described>> read_header(std::string_view text) {
  std::vector<Described> tensors;
  JsonCursor cursor(text, kLengthSize);
  bool has_metadata = false;
  const auto read_entry = [&](std::string name) -> Status {
    if (name == "__metadata__") {
      if (std::exchange(has_metadata, true)) return cursor.failure("second __metadata__");
      return read_metadata(cursor);
    }
    if (tensors.size() == limits::kTensorCountMax) {
      return resource_exhausted(
          str("header describes more than ", limits::kTensorCountMax, " tensors"));
    }
    Described tensor;
    tensor.position = cursor.position();
    tensor.name = std::move(name);
    if (Status status = read_tensor(cursor, tensor); !status.ok()) {
      // A plain JSON error does not yet say whose description it hit.
      const bool named = status.message().find("tensor \"") != std::string::npos;
      return named ? status : std::move(status).with_context(quoted(tensor.name));
    }
    tensors.push_back(std::move(tensor));
    return ok_status();
  };
  RETURN_IF_ERROR(read_object(cursor, read_entry));
  RETURN_IF_ERROR(cursor.expect_end());
  return tensors;
}

Result<std::vector<SafetensorsEntry>> parse(std::span<const std::byte> bytes) {
  ASSIGN_OR_RETURN(const std::string_view text, header_text(bytes));
  ASSIGN_OR_RETURN(std::vector<Described> tensors, read_header(text));
  const std::uint64_t data_begin = kLengthSize + text.size();
  const std::uint64_t data_size = bytes.size() - data_begin;
  RETURN_IF_ERROR(check_names(tensors));
  for (const Described& tensor : tensors) RETURN_IF_ERROR(check_extent(tensor, data_size));
  RETURN_IF_ERROR(check_coverage(tensors, data_size, data_begin));

  std::vector<SafetensorsEntry> entries;
  entries.reserve(tensors.size());
  for (Described& tensor : tensors) {
    entries.push_back({std::move(tensor.name),
                       {tensor.dtype, tensor.shape, bytes.data() + data_begin + tensor.begin}});
  }
  return entries;
}

}  // namespace

Result<std::vector<SafetensorsEntry>> parse_safetensors(std::span<const std::byte> bytes,
                                                        std::string_view file) {
  auto entries = parse(bytes);
  if (!entries) return std::move(entries).error().with_context(file);
  return entries;
}

}  // namespace inferneo::formats
