// Writer of GGUF files, version 3: for model makers, benchmarks and tests. Metadata and the list of
// tensors come first, then the data in the same order, in pieces of any size, so that a model
// larger than memory can be written.
//
//   GgufMetadataBytes metadata;
//   metadata.text("general.architecture", "llama");
//   metadata.u32("llama.block_count", 2);
//   ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(path, metadata, tensors));
//   for each tensor: RETURN_IF_ERROR(writer.write(bytes)) as often as it takes
//   return writer.finish();
//
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor_view.h"

namespace inferneo::formats {

// Metadata entries as bytes of a file. Keys must differ; nothing is checked here.
class GgufMetadataBytes {
 public:
  void u32(std::string_view key, std::uint32_t value);
  void i32(std::string_view key, std::int32_t value);
  void u64(std::string_view key, std::uint64_t value);
  void f32(std::string_view key, float value);
  void boolean(std::string_view key, bool value);
  void text(std::string_view key, std::string_view value);
  void i32s(std::string_view key, std::span<const std::int32_t> values);
  void f32s(std::string_view key, std::span<const float> values);
  void texts(std::string_view key, std::span<const std::string> values);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, std::uint32_t type);

  std::string bytes_;
  std::uint64_t count_ = 0;
};

struct GgufTensorInfo {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;
  tensor::Shape shape;  // outermost first; innermost a multiple of the type's block
};

// Everything before the data, padded to where it begins. `alignment` is a power of two of at least
// 8; one other than 32 adds the key general.alignment. Precondition: GGUF has the types.
std::string gguf_header(const GgufMetadataBytes& metadata,
                        std::span<const GgufTensorInfo> tensors,
                        std::uint32_t alignment = 32);

class GgufWriter {
 public:
  // Writes the header to PATH.part; finish() renames it to the path. Failures: internal (the system
  // refused, with its reason).
  static Result<GgufWriter> create(const std::string& path,
                                   const GgufMetadataBytes& metadata,
                                   std::span<const GgufTensorInfo> tensors,
                                   std::uint32_t alignment = 32);
  GgufWriter(GgufWriter&& other) noexcept = default;
  GgufWriter& operator=(GgufWriter&&) = delete;
  // Removes PATH.part unless finished.
  ~GgufWriter();

  // The next bytes of the tensor whose turn it is; a piece ends with the tensor at the latest.
  [[nodiscard]] Status write(std::span<const std::byte> piece);
  // Precondition: all tensors were written whole.
  [[nodiscard]] Status finish();

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  GgufWriter() = default;
  [[nodiscard]] Status put(const void* bytes, std::size_t size);
  void skip_empty_tensors();

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::vector<std::size_t> sizes_;  // bytes of each tensor
  std::size_t tensor_index_ = 0;
  std::size_t written_ = 0;  // bytes of that tensor
  std::uint32_t alignment_ = 32;
};

}  // namespace inferneo::formats
