// GLM-4: fused gate and up, rotary positions of half of each head in adjacent pairs; the later
// models have norms behind attention and feed-forward, too. Spec: transformers 5, models/glm and
// models/glm4.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.attention_post_norm", "model.layers.*.post_self_attn_layernorm"},
    {"layer.*.ffn_post_norm", "model.layers.*.post_mlp_layernorm"},
};

Result<BuiltModel> build_glm4(const formats::ModelMeta& meta,
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
  plan.has_attention_post_norm = plan.has_ffn_post_norm = true;
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"Glm4ForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"glm4"};
constexpr std::array<std::string_view, 1> kGgufNames = {"glm4"};

}  // namespace

extern const ArchSpec kGlm4;
const ArchSpec kGlm4 = {"glm4", kClassNames, kModelTypes, kGgufNames, build_glm4};

}  // namespace inferneo::arch
