// GGUF files: metadata and tensors in one file, or in shards named NAME-00001-of-00003.gguf.
// Files are mapped, not read; little-endian, versions 2 and 3.
// Spec: ggml, docs/gguf.md.
// Thread: any once open. Ownership: owns the mappings that its views and strings point into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "tensor/weight_map.h"

namespace inferneo::formats {

// Numbers of an array, whatever width the file gives them; bools count as 0 and 1.
using GgufNumbers = std::variant<std::vector<std::int64_t>, std::vector<double>>;
// Integers of any width, floats of either, bool, string (borrowed from the file), arrays of them.
// An array of arrays is refused.
using GgufValue = std::variant<std::int64_t,
                               std::uint64_t,
                               double,
                               bool,
                               std::string_view,
                               GgufNumbers,
                               std::vector<std::string_view>>;

class GgufMetadata {
 public:
  using Entries = std::map<std::string_view, GgufValue, std::less<>>;

  [[nodiscard]] const Entries& entries() const { return entries_; }
  [[nodiscard]] Entries& entries() { return entries_; }
  // Null when there is none.
  [[nodiscard]] const GgufValue* find(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : &found->second;
  }
  // Empty when the key is absent. Failures: corrupt_data naming key, wanted and found type;
  // an integer that does not fit is one.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view key) const;
  [[nodiscard]] Result<std::optional<double>> number(std::string_view key) const;
  [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::string_view>> text(std::string_view key) const;
  // Null when the key is absent.
  [[nodiscard]] Result<const std::vector<std::string_view>*> texts(std::string_view key) const;
  [[nodiscard]] Result<const GgufNumbers*> numbers(std::string_view key) const;

 private:
  Entries entries_;
};

// What one file says, checked: every size against the file before anything is allocated for it.
// Names and types are the file's; shapes are outermost first, so a matrix is [rows][k].
struct GgufHeader {
  std::uint32_t version = 0;
  GgufMetadata metadata;
  tensor::WeightMap weights;
};
// Failures: corrupt_data with the byte offset and the key or tensor; unsupported (version,
// endianness, tensor type, named with those that are supported).
Result<GgufHeader> parse_gguf(std::span<const std::byte> file);

class GgufFile {
 public:
  // Opens all shards when the name is that of one. Failures: not_found, those of parse_gguf, and
  // corrupt_data for shards that do not belong together.
  static Result<GgufFile> open(const std::string& path);

  [[nodiscard]] const GgufMetadata& metadata() const { return metadata_; }
  [[nodiscard]] const tensor::WeightMap& weights() const { return weights_; }
  [[nodiscard]] std::uint32_t version() const { return version_; }
  // Moves the mappings out; views and strings stay valid as long as they live.
  [[nodiscard]] std::vector<MappedFile> take_files() && { return std::move(files_); }

 private:
  std::vector<MappedFile> files_;
  GgufMetadata metadata_;
  tensor::WeightMap weights_;
  std::uint32_t version_ = 0;
};

// True when the path names a file that begins as GGUF does.
bool is_gguf(const std::string& path);

}  // namespace inferneo::formats
