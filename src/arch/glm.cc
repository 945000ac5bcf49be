// GLM-4 as first published: fused gate and up, rotary positions of half of each head in adjacent
// pairs. Spec: transformers 5, models/glm.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_glm(const formats::ModelMeta& meta,
                             const tensor::WeightMap& weights,
                             const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1.5625e-7;
  defaults.rope.partial = 0.5;
  defaults.head_dim = 128;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.ropes.front().adjacent = true;
  plan.qkv_bias = meta.attention_bias.value_or(true);
  plan.has_fused_gate = true;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GlmForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"glm"};
constexpr std::array<std::string_view, 1> kGgufNames = {"chatglm"};

}  // namespace

extern const ArchSpec kGlm;
const ArchSpec kGlm = {"glm", kClassNames, kModelTypes, kGgufNames, build_glm};

}  // namespace inferneo::arch
