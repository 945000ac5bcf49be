// The weights of a Hugging Face model directory: model.safetensors, or the shards that
// model.safetensors.index.json names. Files are mapped, not read.
// Thread: any once open. Ownership: owns the mappings that its views point into.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "tensor/weight_map.h"

namespace inferneo::formats {

// Tensor name -> name of the shard file that holds it.
using ShardIndex = std::map<std::string, std::string, std::less<>>;

class Checkpoint {
 public:
  // Failures: not_found, and those of parse_safetensors and parse_shard_index.
  static Result<Checkpoint> open(const std::string& directory);

  [[nodiscard]] const tensor::WeightMap& weights() const { return weights_; }
  // Moves the mappings out; the views of weights() stay valid as long as they live.
  [[nodiscard]] std::vector<MappedFile> take_files() && { return std::move(files_); }

 private:
  Status add_file(const std::string& directory, const std::string& name, ShardIndex& file_of);

  std::vector<MappedFile> files_;
  tensor::WeightMap weights_;
};

// Reads an index file; shard names are checked not to leave the directory.
// Failures: corrupt_data naming the byte, the tensor or the shard; resource_exhausted.
Result<ShardIndex> parse_shard_index(std::string_view text);

// True when the directory holds weights in this format.
bool has_safetensors(const std::string& directory);

}  // namespace inferneo::formats
