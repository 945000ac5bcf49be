// Qwen2 and Qwen2.5: Llama with biases of queries, keys and values, and windows in the layers from
// max_window_layers on, where they are switched on. Spec: transformers 5, models/qwen2.
#include <array>

#include "arch/decoder.h"
#include "arch/late_windows.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_qwen2(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  plan.qkv_bias = true;
  plan_late_windows(meta, plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "Qwen2ForCausalLM", "Qwen2Model", "Qwen2ForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"qwen2"};
constexpr std::array<std::string_view, 1> kGgufNames = {"qwen2"};

}  // namespace

extern const ArchSpec kQwen2;
const ArchSpec kQwen2 = {"qwen2", kClassNames, kModelTypes, kGgufNames, build_qwen2};

}  // namespace inferneo::arch
