// Qwen3-MoE: Qwen3 with experts. Spec: transformers 5, models/qwen3_moe.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_qwen3_moe(const formats::ModelMeta& meta,
                                   const tensor::WeightMap& weights,
                                   const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.qk_norm = QkNorm::kHead;
  plan.qk_norm_plan = plan.norm;
  if (meta.uses_window.value_or(false)) plan_windows(meta, 4096, {}, plan);
  RETURN_IF_ERROR(plan_qwen_experts(meta, plan));
  // GGUF files do not say; all of this architecture do.
  if (plan.is_gguf) plan.moe->routing.renormalizes = true;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"Qwen3MoeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"qwen3_moe"};
constexpr std::array<std::string_view, 1> kGgufNames = {"qwen3moe"};

}  // namespace

extern const ArchSpec kQwen3Moe;
const ArchSpec kQwen3Moe = {"qwen3_moe", kClassNames, kModelTypes, kGgufNames, build_qwen3_moe};

}  // namespace inferneo::arch
