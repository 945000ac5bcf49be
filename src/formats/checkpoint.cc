#include "formats/checkpoint.h"

#include <filesystem>
#include <set>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "formats/json_cursor.h"
#include "formats/safetensors.h"

namespace inferneo::formats {
namespace {

constexpr std::string_view kSingleName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::size_t kShardNameSizeMax = 255;

bool exists(const std::string& directory, std::string_view name) {
  std::error_code error;
  return std::filesystem::exists(str(directory, "/", name), error);
}

// Why so strict: the name comes from the model's author and is opened; only plain names of files
// in the same directory have a use.
Status check_shard_name(std::string_view tensor, const std::string& name) {
  const bool plain = !name.empty() && name.size() <= kShardNameSizeMax && name.front() != '.' &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (plain && name.ends_with(".safetensors")) return ok_status();
  return corrupt_data(str("tensor \"",
                          printable(tensor, 160),
                          "\" is said to be in \"",
                          printable(name),
                          "\", which is not the plain name of a .safetensors "
                          "file in the same directory"));
}

Status read_weight_map(JsonCursor& cursor, ShardIndex& index) {
  return read_object(cursor, [&](std::string tensor) -> Status {
    if (index.size() == limits::kTensorCountMax) {
      return resource_exhausted(
          str("weight_map names more than ", limits::kTensorCountMax, " tensors"));
    }
    ASSIGN_OR_RETURN(std::string shard, cursor.string());
    RETURN_IF_ERROR(check_shard_name(tensor, shard));
    const auto [entry, added] = index.emplace(std::move(tensor), std::move(shard));
    if (!added) {
      return cursor.failure(
          str("tensor \"", printable(entry->first, 160), "\" appears twice in weight_map"));
    }
    return ok_status();
  });
}

Status missing_weights(const std::string& directory) {
  Status status = not_found(str(directory, " holds neither ", kSingleName, " nor ", kIndexName));
  if (exists(directory, "pytorch_model.bin") || exists(directory, "pytorch_model.bin.index.json")) {
    return std::move(status).with_hint(
        "its .bin weights are pickle files, which can run code and are never opened; convert the "
        "model to safetensors");
  }
  return status;
}

// Each tensor of the index must be in the shard it names, and each tensor found in the index.
Status check_against_index(const ShardIndex& index, const ShardIndex& found_in) {
  for (const auto& [tensor, shard] : index) {
    const auto found = found_in.find(tensor);
    if (found == found_in.end()) {
      return corrupt_data(str(kIndexName,
                              " says that tensor \"",
                              printable(tensor, 160),
                              "\" is in ",
                              shard,
                              ", but that file does not have it"));
    }
    if (found->second != shard) {
      return corrupt_data(str(kIndexName,
                              " says that tensor \"",
                              printable(tensor, 160),
                              "\" is in ",
                              shard,
                              ", but it is in ",
                              found->second));
    }
  }
  for (const auto& [tensor, shard] : found_in) {
    if (!index.contains(tensor)) {
      return corrupt_data(
          str("tensor \"", printable(tensor, 160), "\" of ", shard, " is not in ", kIndexName));
    }
  }
  return ok_status();
}

}  // namespace

Result<ShardIndex> parse_shard_index(std::string_view text) {
  ShardIndex index;
  JsonCursor cursor(text);
  std::set<std::string> seen;
  const auto read_member = [&](const std::string& key) -> Status {
    if (seen.size() == limits::kJsonDepthMax) return cursor.failure("too many keys");
    if (!seen.insert(key).second) {
      return cursor.failure(str("duplicate key \"", printable(key), "\""));
    }
    return key == "weight_map" ? read_weight_map(cursor, index) : cursor.skip_value();
  };
  RETURN_IF_ERROR(read_object(cursor, read_member));
  RETURN_IF_ERROR(cursor.expect_end());
  if (index.empty()) return corrupt_data("weight_map is missing or empty");
  return index;
}

bool has_safetensors(const std::string& directory) {
  return exists(directory, kSingleName) || exists(directory, kIndexName);
}

Status Checkpoint::add_file(const std::string& directory,
                            const std::string& name,
                            ShardIndex& file_of) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(str(directory, "/", name)));
  ASSIGN_OR_RETURN(std::vector<SafetensorsEntry> entries, parse_safetensors(file.bytes(), name));
  for (SafetensorsEntry& entry : entries) {
    if (weights_.find(entry.name) != nullptr) {
      return corrupt_data(str(
          "tensor \"", printable(entry.name, 160), "\" of ", name, " is also in another shard"));
    }
    file_of.emplace(entry.name, name);
    weights_.add(std::move(entry.name), entry.view);
  }
  files_.push_back(std::move(file));
  return ok_status();
}

Result<Checkpoint> Checkpoint::open(const std::string& directory) {
  Checkpoint checkpoint;
  ShardIndex file_of;
  if (exists(directory, kSingleName)) {
    RETURN_IF_ERROR(checkpoint.add_file(directory, std::string(kSingleName), file_of));
    return checkpoint;
  }
  if (!exists(directory, kIndexName)) return missing_weights(directory);
  ASSIGN_OR_RETURN(const std::string text,
                   read_file(str(directory, "/", kIndexName), limits::kSafetensorsHeaderSizeMax));
  auto index = parse_shard_index(text);
  if (!index) return std::move(index).error().with_context(kIndexName);

  std::set<std::string> shards;
  for (const auto& [tensor, shard] : *index) shards.insert(shard);
  for (const std::string& shard : shards) {
    RETURN_IF_ERROR(checkpoint.add_file(directory, shard, file_of));
  }
  RETURN_IF_ERROR(check_against_index(*index, file_of));
  return checkpoint;
}

}  // namespace inferneo::formats
