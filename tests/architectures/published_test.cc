// Plans of published models at their real sizes (tools/make_published_shapes.py): what their
// configurations say is understood, and the program asks for the weights that they have. No weight
// is read.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "device/cpu.h"
#include "formats/model_config.h"
#include "formats/mxfp4_tensors.h"
#include "runtimes/native/native_model.h"

namespace inferneo {
namespace {

using nlohmann::json;
using tensor::DType;

const json& published() {
  static const json models = [] {
    std::ifstream file(std::string(INFERNEO_SOURCE_DIR) + "/tests/architectures/published.json");
    return json::parse(file);
  }();
  return models;
}

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& [name, model] : published().items()) found.push_back(name);
  return found;
}

// Addresses that nobody reads, each tensor at its own.
tensor::WeightMap weights_of(const json& rows) {
  tensor::WeightMap weights;
  std::uintptr_t address = 1 << 16;
  for (const json& row : rows) {
    const std::string name = row[0];
    std::vector<std::int64_t> dims;
    for (std::size_t i = 1; i < row.size(); ++i) dims.push_back(row[i]);
    const bool is_octets = name.ends_with("_blocks") || name.ends_with("_scales");
    tensor::TensorView view{is_octets ? DType::kU8 : DType::kBf16, tensor::Shape(dims)};
    view.data = reinterpret_cast<const std::byte*>(address);
    address += view.byte_size() + 64;
    weights.add(name, view);
  }
  return weights;
}

class PublishedModel : public testing::TestWithParam<std::string> {};

TEST_P(PublishedModel, is_planned_at_its_size) {
  const json& model = published()[GetParam()];
  const auto meta = formats::parse_model_config(model["config"].dump(), "");
  ASSERT_TRUE(meta.has_value()) << meta.status().to_string();
  tensor::WeightMap weights = weights_of(model["weights"]);
  if (meta->quantization == "mxfp4") {
    ASSERT_TRUE(formats::join_mxfp4_tensors(weights).ok());
  }
  const auto device = device::CpuDevice::create({1, ""}).value();
  const auto plan = runtimes::native::plan_model(*meta, weights, {}, device->kernels());
  ASSERT_TRUE(plan.has_value()) << plan.status().to_string();
  EXPECT_GT(plan->memory.weight_bytes, 0U);
  EXPECT_GT(plan->memory.kv_block_bytes + plan->memory.kv_window_block_bytes, 0U);
  // Windows that are shorter than the context.
  const std::map<std::string, std::int32_t> windows = {{"Mistral-7B-v0.1", 4096},
                                                       {"gemma-2-2b", 4096},
                                                       {"gemma-3-1b", 512},
                                                       {"Phi-3-mini-4k", 2047},
                                                       {"gpt-oss-20b", 128},
                                                       {"starcoder2-3b", 4096},
                                                       {"command-r7b", 4096}};
  const auto window = windows.find(GetParam());
  EXPECT_EQ(plan->memory.kv_window_reach, window == windows.end() ? 0 : window->second - 1);
}

INSTANTIATE_TEST_SUITE_P(Configurations,
                         PublishedModel,
                         testing::ValuesIn(names()),
                         [](const auto& each) {
                           std::string name = each.param;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace inferneo
