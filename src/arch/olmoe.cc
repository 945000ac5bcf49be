// OLMoE: experts, and norms of queries and keys as a whole. Spec: transformers 5, models/olmoe.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_olmoe(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  if (meta.variant.qkv_clip.value_or(0) > 0) {
    return unsupported("clip_qkv is set; bounds behind norms of queries and keys are not supported")
        .with_where("clip_qkv");
  }
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.qk_norm = QkNorm::kWhole;
  plan.qk_norm_plan = plan.norm;
  RETURN_IF_ERROR(plan_qwen_experts(meta, plan));
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"OlmoeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"olmoe"};
constexpr std::array<std::string_view, 1> kGgufNames = {"olmoe"};

}  // namespace

extern const ArchSpec kOlmoe;
const ArchSpec kOlmoe = {"olmoe", kClassNames, kModelTypes, kGgufNames, build_olmoe};

}  // namespace inferneo::arch
