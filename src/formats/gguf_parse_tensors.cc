// The descriptions of tensors in a GGUF file, and where their data must lie.
#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "base/limits.h"
#include "formats/gguf_parse.h"
#include "formats/gguf_types.h"

namespace inferneo::formats {
namespace {

constexpr auto kSizeMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// A tensor as the file describes it; the offset counts from the start of the data.
struct Described {
  std::string_view name;
  std::size_t position = 0;  // of the description, in the file
  tensor::DType dtype = tensor::DType::kF32;
  tensor::Shape shape;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

std::string quoted(std::string_view name) { return str("tensor \"", printable(name, 160), "\""); }

std::string described(const Described& tensor) {
  return str(quoted(tensor.name), " (described at byte ", tensor.position, ")");
}

Status tensor_failure(const Described& tensor, std::string_view what) {
  return corrupt_data(str(described(tensor), " ", what));
}

Status read_name(GgufCursor& cursor, std::uint64_t index, Described& tensor) {
  tensor.position = cursor.position();
  if (!cursor.read_text(tensor.name)) {
    return cursor.text_past_end(str("the name of tensor ", index));
  }
  if (tensor.name.empty() || tensor.name.size() > limits::kGgufTensorNameSizeMax) {
    return corrupt_data(str("tensor ",
                            index,
                            " at byte ",
                            tensor.position,
                            " has a name of ",
                            tensor.name.size(),
                            " bytes; 1 to ",
                            limits::kGgufTensorNameSizeMax,
                            " are allowed"));
  }
  return ok_status();
}

Status read_shape(GgufCursor& cursor, Described& tensor) {
  std::uint32_t rank = 0;
  if (!cursor.read(rank)) return cursor.past_end(str("the rank of ", quoted(tensor.name)));
  if (rank > limits::kGgufRankMax) {
    return tensor_failure(
        tensor, str("has ", rank, " dimensions; at most ", limits::kGgufRankMax, " are allowed"));
  }
  std::int64_t dims[limits::kGgufRankMax];
  for (std::uint32_t i = 0; i < rank; ++i) {
    std::uint64_t dim = 0;
    if (!cursor.read(dim)) return cursor.past_end(str("the shape of ", quoted(tensor.name)));
    if (dim > kSizeMax) return tensor_failure(tensor, str("has a dimension of ", dim));
    // The file begins with the innermost.
    dims[rank - 1 - i] = static_cast<std::int64_t>(dim);
  }
  tensor.shape = tensor::Shape(std::span<const std::int64_t>(dims, rank));
  return ok_status();
}

Status read_type(GgufCursor& cursor, Described& tensor) {
  std::uint32_t type = 0;
  if (!cursor.read(type)) return cursor.past_end(str("the type of ", quoted(tensor.name)));
  const auto dtype = dtype_from_ggml(type);
  if (!dtype) {
    return unsupported(str(described(tensor),
                           " has the element type ",
                           ggml_type_text(type),
                           "; supported types are ",
                           supported_ggml_types()))
        .with_hint("quantise the model to one of these, for example Q4_K_M");
  }
  tensor.dtype = *dtype;
  return ok_status();
}

// Elements of the shape; empty when a partial product does not fit in 63 bits, zeros left out.
std::optional<std::uint64_t> element_count(const tensor::Shape& shape) {
  std::uint64_t count = 1;
  bool empty = false;
  for (const std::int64_t dim : shape.dims()) {
    const auto factor = static_cast<std::uint64_t>(dim);
    empty = empty || factor == 0;
    if (factor > 1 && count > kSizeMax / factor) return std::nullopt;
    count *= std::max<std::uint64_t>(factor, 1);
  }
  return empty ? 0 : count;
}

Status find_size(Described& tensor) {
  const auto block = static_cast<std::uint64_t>(tensor::dtype_block_elements(tensor.dtype));
  const std::uint64_t block_size = tensor::dtype_block_size(tensor.dtype);
  const std::size_t rank = tensor.shape.rank();
  const std::int64_t k = rank == 0 ? 1 : tensor.shape[rank - 1];
  if (static_cast<std::uint64_t>(k) % block != 0) {
    return tensor_failure(tensor,
                          str("of type ",
                              tensor::dtype_name(tensor.dtype),
                              " has rows of ",
                              k,
                              " elements, which is no multiple of the block of ",
                              block));
  }
  const auto count = element_count(tensor.shape);
  if (!count || *count / block > kSizeMax / block_size) {
    return tensor_failure(
        tensor,
        str("has the shape ", tensor.shape.to_string(), ", whose size does not fit in 63 bits"));
  }
  tensor.size = *count / block * block_size;
  return ok_status();
}

Status read_tensor(GgufCursor& cursor, std::uint64_t index, Described& tensor) {
  RETURN_IF_ERROR(read_name(cursor, index, tensor));
  RETURN_IF_ERROR(read_shape(cursor, tensor));
  RETURN_IF_ERROR(read_type(cursor, tensor));
  if (!cursor.read(tensor.offset)) {
    return cursor.past_end(str("the offset of ", quoted(tensor.name)));
  }
  return find_size(tensor);
}

std::uint64_t align_up(std::uint64_t offset, std::uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

// `before` is null for the first tensor; `expected` is where the one before ends, aligned.
Status check_extent(const Described& tensor,
                    const Described* before,
                    std::uint64_t expected,
                    std::uint64_t alignment,
                    std::uint64_t data_size) {
  const auto failure = [&tensor](std::string_view what) {
    return tensor_failure(tensor, str("has the data offset ", tensor.offset, what));
  };
  if (tensor.offset % alignment != 0) {
    return failure(str(", no multiple of the alignment ", alignment));
  }
  if (tensor.offset > data_size || tensor.size > data_size - tensor.offset) {
    return failure(str(" and ",
                       tensor.size,
                       " bytes, past the end of the data of ",
                       data_size,
                       " bytes: the file is cut short or wrong"));
  }
  if (tensor.offset == expected) return ok_status();
  const std::string neighbour = before == nullptr ? "the start" : quoted(before->name);
  const char* how = tensor.offset < expected ? ", which overlaps " : ", which leaves a gap after ";
  return failure(str(how, neighbour, "; it should be ", expected));
}

Status add_weight(const std::vector<Described>& tensors,
                  std::size_t index,
                  const std::byte* data,
                  tensor::WeightMap& weights) {
  const Described& tensor = tensors[index];
  if (weights.add(std::string(tensor.name), {tensor.dtype, tensor.shape, data + tensor.offset})) {
    return ok_status();
  }
  const auto first = std::find_if(tensors.begin(), tensors.end(), [&](const Described& other) {
    return other.name == tensor.name;
  });
  return tensor_failure(tensor, str("was already described at byte ", first->position));
}

}  // namespace

Status read_gguf_tensors(GgufCursor& cursor,
                         std::uint64_t count,
                         std::uint64_t alignment,
                         std::span<const std::byte> file,
                         tensor::WeightMap& weights) {
  std::vector<Described> tensors(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    RETURN_IF_ERROR(read_tensor(cursor, i, tensors[i]));
  }
  if (tensors.empty()) return ok_status();
  const std::uint64_t data_begin = align_up(cursor.position(), alignment);
  if (data_begin > file.size()) {
    return corrupt_data(str("the file of ",
                            file.size(),
                            " bytes ends before its data, which should begin at byte ",
                            data_begin));
  }
  const std::uint64_t data_size = file.size() - data_begin;
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Described* before = i == 0 ? nullptr : &tensors[i - 1];
    RETURN_IF_ERROR(check_extent(tensors[i], before, expected, alignment, data_size));
    RETURN_IF_ERROR(add_weight(tensors, i, file.data() + data_begin, weights));
    expected = align_up(tensors[i].offset + tensors[i].size, alignment);
  }
  return ok_status();
}

}  // namespace inferneo::formats
