// StarCoder2: layer norms, biases, a plain feed-forward layer, and a window. Spec: transformers 5,
// models/starcoder2.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.up", "model.layers.*.mlp.c_fc"},
    {"layer.*.down", "model.layers.*.mlp.c_proj"},
};

Result<BuiltModel> build_starcoder2(const formats::ModelMeta& meta,
                                    const tensor::WeightMap& weights,
                                    const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu_pytorch_tanh";
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(true);
  plan.mlp_bias = meta.mlp_bias.value_or(true);
  plan_windows(meta, 0, {}, plan);
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"Starcoder2ForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"starcoder2"};
constexpr std::array<std::string_view, 1> kGgufNames = {"starcoder2"};

}  // namespace

extern const ArchSpec kStarcoder2;
const ArchSpec kStarcoder2 = {"starcoder2", kClassNames, kModelTypes, kGgufNames, build_starcoder2};

}  // namespace inferneo::arch
