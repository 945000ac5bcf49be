#include "golden_models.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/str.h"
#include "formats/model_config.h"
#include "formats/mxfp4_tensors.h"
#include "kernels/kernel_table.h"
#include "runtimes/native/native_model.h"

namespace inferneo::testing {
namespace {

using nlohmann::json;
using tensor::DType;

json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

GoldenWeight read_weight(const json& row) {
  GoldenWeight weight{row[0], row[1], row[2], {}};
  for (std::size_t i = 3; i < row.size(); ++i) weight.shape.push_back(row[i]);
  return weight;
}

GoldenPrompt read_prompt(const json& prompt) {
  if (!prompt.contains("rows")) {
    return {prompt["ids"], prompt["greedy"], prompt["logits"], {}, kOneSegment};
  }
  return {prompt["ids"], {}, {}, prompt["rows"], prompt.value("second_begin", kOneSegment)};
}

std::filesystem::path golden_root() {
  return std::string(INFERNEO_SOURCE_DIR) + "/tests/architectures";
}

GoldenModel read_model(const std::string& family,
                       const std::string& variant,
                       json config,
                       const json& changes,
                       const json& golden) {
  for (const auto& [key, value] : changes.items()) config[key] = value;
  GoldenModel model{
      family, variant, config.dump(), config.value("served_context_tokens", 0), {}, {}};
  for (const json& row : golden["weights"]) model.weights.push_back(read_weight(row));
  for (const json& prompt : golden["prompts"]) model.prompts.push_back(read_prompt(prompt));
  return model;
}

// Spec: FNV-1a.
std::uint64_t name_seed(const std::string& text) {
  std::uint64_t value = 0xCBF29CE484222325U;
  for (const char byte : text) {
    value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001B3U;
  }
  return value;
}

// Names of the tensors of octets that MXFP4 checkpoints hold.
bool is_mxfp4(const GoldenWeight& weight) {
  return weight.name.ends_with("_blocks") || weight.name.ends_with("_scales");
}

// Their elements, of which scales are few powers of two.
void to_octets(const GoldenWeight& weight, const std::vector<float>& values, std::byte* out) {
  const bool is_scale = weight.name.ends_with("_scales");
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto octet = static_cast<int>(values[i] * 128) + 128;
    out[i] = static_cast<std::byte>(is_scale ? 121 + octet % 4 : octet);
  }
}

// Spec: SplitMix64 as a counter-based generator; the upper byte less 128, in 128ths.
std::vector<float> elements(const std::string& name,
                            const GoldenWeight& weight,
                            std::size_t count) {
  const std::uint64_t seed = name_seed(name);
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    const auto level = static_cast<float>(static_cast<int>(z >> 56) - 128) / 128;
    values[i] = std::ldexp(level, weight.exponent) + weight.offset;
  }
  return values;
}

}  // namespace

std::vector<GoldenModel> read_golden_models() {
  std::vector<GoldenModel> models;
  for (const auto& entry : std::filesystem::directory_iterator(golden_root())) {
    if (!entry.is_directory()) continue;
    const json spec = read_json(entry.path() / "variants.json");
    const json goldens = read_json(entry.path() / "goldens.json");
    const std::string family = entry.path().filename();
    for (const auto& [name, changes] : spec["variants"].items()) {
      models.push_back(read_model(family, name, spec["base"], changes, goldens.at(name)));
    }
  }
  std::sort(models.begin(), models.end(), [](const GoldenModel& a, const GoldenModel& b) {
    return std::pair(a.family, a.variant) < std::pair(b.family, b.variant);
  });
  return models;
}

std::vector<GoldenFile> read_golden_files() {
  std::vector<GoldenFile> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden_root())) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() != ".gguf") continue;
    const std::string family = path.parent_path().filename();
    const bool is_only = path.stem() == "model";
    std::filesystem::path goldens = path;
    goldens.replace_filename(is_only ? "gguf" : path.stem()).replace_extension(".json");
    GoldenFile file{is_only ? family : family + "_" + path.stem().string(), family, path, {}};
    const json document = read_json(goldens);
    for (const json& prompt : document.at("prompts")) {
      file.prompts.push_back(read_prompt(prompt));
    }
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const GoldenFile& a, const GoldenFile& b) {
    return a.name < b.name;
  });
  return files;
}

namespace {

Result<runtimes::native::WeightStore> make_weights(const GoldenModel& golden, DType dtype) {
  runtimes::native::WeightStore store;
  const kernels::KernelTable& table = kernels::reference_table();
  for (const GoldenWeight& weight : golden.weights) {
    const tensor::Shape shape(weight.shape);
    const auto count = static_cast<std::size_t>(shape.element_count());
    const std::string seed = str(golden.family, "/", golden.variant, "/", weight.name);
    const GoldenWeight plain{weight.name, 0, 0, {}};
    const std::vector<float> values = elements(seed, is_mxfp4(weight) ? plain : weight, count);
    // Why: vectors of norms do not fit 8 bits of fraction.
    DType here = shape.rank() == 1 ? DType::kF32 : dtype;
    if (is_mxfp4(weight)) here = DType::kU8;
    ASSIGN_OR_RETURN(AnonymousMemory memory,
                     AnonymousMemory::allocate(count * tensor::dtype_size(here), weight.name));
    const auto n = static_cast<std::int64_t>(count);
    if (here == DType::kU8) {
      to_octets(weight, values, memory.data());
    } else if (here == DType::kF32) {
      std::memcpy(memory.data(), values.data(), count * sizeof(float));
    } else if (here == DType::kBf16) {
      table.f32_to_bf16(values.data(), reinterpret_cast<kernels::Bf16*>(memory.data()), n);
    } else {
      table.f32_to_f16(values.data(), reinterpret_cast<kernels::F16*>(memory.data()), n);
    }
    store.weights.add(weight.name, {here, shape, memory.data()});
    store.memory.push_back(std::move(memory));
  }
  return store;
}

}  // namespace

Result<std::shared_ptr<const runtime::Model>> load_golden_model(const GoldenModel& golden,
                                                                DType dtype,
                                                                runtime::LoadOptions options,
                                                                device::CpuDevice& device) {
  ASSIGN_OR_RETURN(const formats::ModelMeta meta, formats::parse_model_config(golden.config, ""));
  ASSIGN_OR_RETURN(runtimes::native::WeightStore store, make_weights(golden, dtype));
  if (meta.quantization == "mxfp4") {
    RETURN_IF_ERROR(formats::join_mxfp4_tensors(store.weights));
  }
  options.context_tokens_max = golden.served_context_tokens;
  return runtimes::native::make_model(meta, std::move(store), "a golden model", options, device);
}

// Spec: https://github.com/huggingface/safetensors#format
Status save_golden_model(const GoldenModel& golden,
                         const std::string& directory,
                         std::string_view left_out) {
  ASSIGN_OR_RETURN(const runtimes::native::WeightStore store, make_weights(golden, DType::kF32));
  json header;
  std::string data;
  for (const auto& [name, view] : store.weights.entries()) {
    if (name == left_out) continue;
    const auto dims = view.shape.dims();
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(view.data), view.byte_size());
    header[name] = {{"dtype", view.dtype == DType::kU8 ? "U8" : "F32"},
                    {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                    {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = header.dump();
  const std::uint64_t size = text.size();
  std::ofstream(directory + "/config.json") << golden.config;
  std::ofstream file(directory + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size), sizeof(size)) << text << data;
  return file ? ok_status() : internal_error("cannot write " + directory);
}

}  // namespace inferneo::testing
