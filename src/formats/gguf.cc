// GGUF files on disk, in one piece or in shards.
#include "formats/gguf.h"

#include <charconv>
#include <cstring>
#include <utility>

#include "base/str.h"

namespace inferneo::formats {
namespace {

constexpr std::size_t kShardDigits = 5;

// "PREFIX-00002-of-00003.gguf"; numbers in names begin with one.
struct ShardName {
  std::string_view prefix;
  std::int64_t number = 0;
  std::int64_t count = 0;
};

std::optional<std::int64_t> five_digits(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::optional<ShardName> shard_name(std::string_view path) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (path.size() < kPattern.size()) return std::nullopt;
  const std::string_view end = path.substr(path.size() - kPattern.size());
  if (end[0] != '-' || end.substr(6, 4) != "-of-" || end.substr(15) != ".gguf") return std::nullopt;
  const auto number = five_digits(end.substr(1, kShardDigits));
  const auto count = five_digits(end.substr(10, kShardDigits));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return ShardName{path.substr(0, path.size() - kPattern.size()), *number, *count};
}

std::string shard_path(std::string_view prefix, std::int64_t number, std::int64_t count) {
  const auto padded = [](std::int64_t value) {
    const std::string digits = str(value);
    return std::string(kShardDigits - digits.size(), '0') + digits;
  };
  return str(prefix, "-", padded(number), "-of-", padded(count), ".gguf");
}

struct Loaded {
  MappedFile file;
  GgufHeader header;
};

Result<Loaded> load(const std::string& path) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  auto header = parse_gguf(file.bytes());
  if (!header) return std::move(header).error().with_context(path);
  return Loaded{std::move(file), *std::move(header)};
}

// The value of a split key, which every shard must have.
Result<std::int64_t> split_value(const Loaded& shard, std::string_view key) {
  const auto value = shard.header.metadata.integer(key);
  if (!value) return Status(value.error()).with_context(shard.file.path());
  if (!value->has_value()) {
    return corrupt_data(str(shard.file.path(), ": a shard, but without the key \"", key, "\""));
  }
  return **value;
}

Status check_shard(const Loaded& shard, const ShardName& name, std::int64_t index) {
  ASSIGN_OR_RETURN(const std::int64_t count, split_value(shard, "split.count"));
  ASSIGN_OR_RETURN(const std::int64_t own_index, split_value(shard, "split.no"));
  if (count == name.count && own_index == index) return ok_status();
  return corrupt_data(str(shard.file.path(),
                          ": says it is shard ",
                          own_index + 1,
                          " of ",
                          count,
                          " (split.no ",
                          own_index,
                          ", split.count ",
                          count,
                          "), but its name says ",
                          index + 1,
                          " of ",
                          name.count));
}

Status merge(Loaded& shard, tensor::WeightMap& weights) {
  auto& added = shard.header.weights.entries();
  weights.entries().merge(added);
  if (added.empty()) return ok_status();
  return corrupt_data(str(shard.file.path(),
                          ": tensor \"",
                          printable(added.begin()->first, 160),
                          "\" is in an earlier shard too"));
}

struct Model {
  std::vector<MappedFile> files;
  GgufMetadata metadata;
  tensor::WeightMap weights;
  std::uint32_t version = 0;
};

// The shard at `index`: the one that was opened first, or another file beside it.
Result<Loaded> load_shard(const ShardName& name, std::int64_t index, Loaded& opened) {
  if (index == name.number - 1) return std::move(opened);
  auto loaded = load(shard_path(name.prefix, index + 1, name.count));
  if (loaded) return loaded;
  return std::move(loaded).error().with_context(str("shard ", index + 1, " of ", name.count));
}

Result<Model> load_shards(const ShardName& name, Loaded& opened) {
  Model model;
  std::int64_t tensor_count = 0;
  for (std::int64_t i = 0; i < name.count; ++i) {
    ASSIGN_OR_RETURN(Loaded shard, load_shard(name, i, opened));
    RETURN_IF_ERROR(check_shard(shard, name, i));
    if (i == 0) {
      ASSIGN_OR_RETURN(tensor_count, split_value(shard, "split.tensors.count"));
      model.metadata = std::move(shard.header.metadata);
      model.version = shard.header.version;
    }
    RETURN_IF_ERROR(merge(shard, model.weights));
    model.files.push_back(std::move(shard.file));
  }
  const auto found = static_cast<std::int64_t>(model.weights.entries().size());
  if (found == tensor_count) return model;
  return corrupt_data(str(model.files.front().path(),
                          ": the shards hold ",
                          found,
                          " tensors, but split.tensors.count is ",
                          tensor_count));
}

Result<Model> load_model(const std::string& path) {
  ASSIGN_OR_RETURN(Loaded opened, load(path));
  const auto count = opened.header.metadata.integer("split.count");
  if (!count) return Status(count.error()).with_context(path);
  if (count->value_or(0) <= 1) {
    Model model;
    model.metadata = std::move(opened.header.metadata);
    model.weights = std::move(opened.header.weights);
    model.version = opened.header.version;
    model.files.push_back(std::move(opened.file));
    return model;
  }
  const auto name = shard_name(path);
  if (name && name->count == **count) return load_shards(*name, opened);
  return corrupt_data(
      str(path,
          ": one of ",
          **count,
          " shards, so its name must end with -NNNNN-of-MMMMM.gguf, where MMMMM is ",
          **count));
}

}  // namespace

Result<GgufFile> GgufFile::open(const std::string& path) {
  ASSIGN_OR_RETURN(Model model, load_model(path));
  GgufFile file;
  file.files_ = std::move(model.files);
  file.metadata_ = std::move(model.metadata);
  file.weights_ = std::move(model.weights);
  file.version_ = model.version;
  return file;
}

bool is_gguf(const std::string& path) {
  const auto file = MappedFile::open(path);
  return file && file->bytes().size() >= 4 && std::memcmp(file->bytes().data(), "GGUF", 4) == 0;
}

}  // namespace inferneo::formats
