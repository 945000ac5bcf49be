// Qwen2-MoE: Qwen2 with experts, and one with a gate of its own that all tokens go through. Spec:
// transformers 5, models/qwen2_moe.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_qwen2_moe(const formats::ModelMeta& meta,
                                   const tensor::WeightMap& weights,
                                   const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  plan.qkv_bias = meta.attention_bias.value_or(true);
  if (meta.uses_window.value_or(false)) {
    // Every other layer of the first ones.
    const std::int64_t last = meta.first_window_layer.value_or(28);
    const auto listed = all_but_every(meta, 2);
    plan_windows(
        meta,
        4096,
        [&](std::int64_t layer) {
          return listed(layer) && (layer < last || !meta.window_layers.empty());
        },
        plan);
  }
  RETURN_IF_ERROR(plan_qwen_experts(meta, plan));
  plan.moe->shared_ffn = meta.moe.shared_ffn_size.value_or(5632);
  plan.moe->has_shared_gate = true;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"Qwen2MoeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"qwen2_moe"};
constexpr std::array<std::string_view, 1> kGgufNames = {"qwen2moe"};

}  // namespace

extern const ArchSpec kQwen2Moe;
const ArchSpec kQwen2Moe = {"qwen2_moe", kClassNames, kModelTypes, kGgufNames, build_qwen2_moe};

}  // namespace inferneo::arch
