#include "formats/gguf_writer.h"

#include <bit>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/error_text.h"
#include "base/str.h"
#include "formats/gguf_types.h"

namespace inferneo::formats {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kDefaultAlignment = 32;

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<std::uint64_t>(text.size()));
  out += text;
}

template <typename T>
void append_array(std::string& out, GgufType type, std::span<const T> values) {
  append(out, static_cast<std::uint32_t>(type));
  append(out, static_cast<std::uint64_t>(values.size()));
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

std::uint64_t padding(std::uint64_t size, std::uint32_t alignment) {
  return (alignment - size % alignment) % alignment;
}

std::size_t byte_size(const GgufTensorInfo& tensor) {
  return tensor::TensorView{tensor.dtype, tensor.shape, nullptr}.byte_size();
}

void append_tensor(std::string& out, const GgufTensorInfo& tensor, std::uint64_t offset) {
  const auto ggml_type = ggml_from_dtype(tensor.dtype);
  CHECK(ggml_type.has_value());
  append_text(out, tensor.name);
  append(out, static_cast<std::uint32_t>(tensor.shape.rank()));
  for (std::size_t i = tensor.shape.rank(); i-- > 0;) append(out, tensor.shape[i]);
  append(out, *ggml_type);
  append(out, offset);
}

}  // namespace

void GgufMetadataBytes::begin(std::string_view key, std::uint32_t type) {
  append_text(bytes_, key);
  append(bytes_, type);
  ++count_;
}

void GgufMetadataBytes::u32(std::string_view key, std::uint32_t value) {
  begin(key, static_cast<std::uint32_t>(GgufType::kU32));
  append(bytes_, value);
}

void GgufMetadataBytes::i32(std::string_view key, std::int32_t value) {
  begin(key, static_cast<std::uint32_t>(GgufType::kI32));
  append(bytes_, value);
}

void GgufMetadataBytes::u64(std::string_view key, std::uint64_t value) {
  begin(key, static_cast<std::uint32_t>(GgufType::kU64));
  append(bytes_, value);
}

void GgufMetadataBytes::f32(std::string_view key, float value) {
  begin(key, static_cast<std::uint32_t>(GgufType::kF32));
  append(bytes_, value);
}

void GgufMetadataBytes::boolean(std::string_view key, bool value) {
  begin(key, static_cast<std::uint32_t>(GgufType::kBool));
  append(bytes_, static_cast<std::uint8_t>(value ? 1 : 0));
}

void GgufMetadataBytes::text(std::string_view key, std::string_view value) {
  begin(key, static_cast<std::uint32_t>(GgufType::kString));
  append_text(bytes_, value);
}

void GgufMetadataBytes::i32s(std::string_view key, std::span<const std::int32_t> values) {
  begin(key, static_cast<std::uint32_t>(GgufType::kArray));
  append_array(bytes_, GgufType::kI32, values);
}

void GgufMetadataBytes::f32s(std::string_view key, std::span<const float> values) {
  begin(key, static_cast<std::uint32_t>(GgufType::kArray));
  append_array(bytes_, GgufType::kF32, values);
}

void GgufMetadataBytes::texts(std::string_view key, std::span<const std::string> values) {
  begin(key, static_cast<std::uint32_t>(GgufType::kArray));
  append(bytes_, static_cast<std::uint32_t>(GgufType::kString));
  append(bytes_, static_cast<std::uint64_t>(values.size()));
  for (const std::string& value : values) append_text(bytes_, value);
}

std::string gguf_header(const GgufMetadataBytes& metadata,
                        std::span<const GgufTensorInfo> tensors,
                        std::uint32_t alignment) {
  CHECK(alignment >= 8 && std::has_single_bit(alignment));
  GgufMetadataBytes extra;
  if (alignment != kDefaultAlignment) extra.u32("general.alignment", alignment);
  std::string out = "GGUF";
  append(out, kVersion);
  append(out, static_cast<std::uint64_t>(tensors.size()));
  append(out, metadata.count() + extra.count());
  out += extra.bytes();
  out += metadata.bytes();
  std::uint64_t offset = 0;
  for (const GgufTensorInfo& tensor : tensors) {
    append_tensor(out, tensor, offset);
    offset += byte_size(tensor);
    offset += padding(offset, alignment);
  }
  out.append(padding(out.size(), alignment), '\0');
  return out;
}

Result<GgufWriter> GgufWriter::create(const std::string& path,
                                      const GgufMetadataBytes& metadata,
                                      std::span<const GgufTensorInfo> tensors,
                                      std::uint32_t alignment) {
  GgufWriter writer;
  writer.path_ = path;
  writer.alignment_ = alignment;
  for (const GgufTensorInfo& tensor : tensors) writer.sizes_.push_back(byte_size(tensor));
  writer.skip_empty_tensors();
  writer.file_.reset(std::fopen((path + ".part").c_str(), "wb"));
  if (writer.file_ == nullptr) {
    return internal_error(str("cannot create ", path, ".part: ", error_text(errno)));
  }
  const std::string header = gguf_header(metadata, tensors, alignment);
  RETURN_IF_ERROR(writer.put(header.data(), header.size()));
  return writer;
}

GgufWriter::~GgufWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  std::remove((path_ + ".part").c_str());
}

Status GgufWriter::put(const void* bytes, std::size_t size) {
  if (std::fwrite(bytes, 1, size, file_.get()) == size) return ok_status();
  return internal_error(str("cannot write ", path_, ".part: ", error_text(errno)));
}

void GgufWriter::skip_empty_tensors() {
  while (tensor_index_ < sizes_.size() && sizes_[tensor_index_] == 0) ++tensor_index_;
}

Status GgufWriter::write(std::span<const std::byte> piece) {
  if (piece.empty()) return ok_status();
  CHECK(tensor_index_ < sizes_.size());
  const std::size_t size = sizes_[tensor_index_];
  CHECK(piece.size() <= size - written_);
  RETURN_IF_ERROR(put(piece.data(), piece.size()));
  written_ += piece.size();
  if (written_ < size) return ok_status();
  ++tensor_index_;
  written_ = 0;
  skip_empty_tensors();
  const std::string zeros(padding(size, alignment_), '\0');
  return put(zeros.data(), zeros.size());
}

Status GgufWriter::finish() {
  CHECK(tensor_index_ == sizes_.size());
  const std::string part = path_ + ".part";
  if (std::fclose(file_.release()) != 0 || std::rename(part.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    std::remove(part.c_str());
    return internal_error(str("cannot write ", path_, ": ", error_text(error)));
  }
  return ok_status();
}

}  // namespace inferneo::formats
