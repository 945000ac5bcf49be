// Phi-1, 1.5 and 2: attention and feed-forward side by side, biases everywhere, rotary positions of
// a part of each head. Spec: transformers 5, models/phi.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"final_norm", "model.final_layernorm"},
    {"layer.*.o", "model.layers.*.self_attn.dense"},
    {"layer.*.q_norm", "model.layers.*.self_attn.q_layernorm"},
    {"layer.*.k_norm", "model.layers.*.self_attn.k_layernorm"},
    {"layer.*.up", "model.layers.*.mlp.fc1"},
    {"layer.*.down", "model.layers.*.mlp.fc2"},
};

Result<BuiltModel> build_phi(const formats::ModelMeta& meta,
                             const tensor::WeightMap& weights,
                             const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu_new";
  defaults.norm_eps = 1e-5;
  defaults.rope.partial = 0.5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_parallel = true;
  plan.has_ffn_norm = false;
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = plan.mlp_bias = plan.head_bias = true;
  if (meta.variant.qk_norm.value_or(false)) {
    plan.qk_norm = QkNorm::kHead;
    plan.qk_norm_plan = plan.norm;
  }
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"PhiForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"phi"};
constexpr std::array<std::string_view, 1> kGgufNames = {"phi2"};

}  // namespace

extern const ArchSpec kPhi;
const ArchSpec kPhi = {"phi", kClassNames, kModelTypes, kGgufNames, build_phi};

}  // namespace inferneo::arch
