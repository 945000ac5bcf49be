// GPT-NeoX (Pythia): attention and feed-forward side by side with a norm each, fused projections by
// head. Spec: transformers 5, models/gpt_neox.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "gpt_neox.embed_in"},
    {"final_norm", "gpt_neox.final_layer_norm"},
    {"head", "embed_out"},
    {"layer.*.attention_norm", "gpt_neox.layers.*.input_layernorm"},
    {"layer.*.qkv", "gpt_neox.layers.*.attention.query_key_value"},
    {"layer.*.o", "gpt_neox.layers.*.attention.dense"},
    {"layer.*.ffn_norm", "gpt_neox.layers.*.post_attention_layernorm"},
    {"layer.*.up", "gpt_neox.layers.*.mlp.dense_h_to_4h"},
    {"layer.*.down", "gpt_neox.layers.*.mlp.dense_4h_to_h"},
};

// Masks, and rotary frequencies that follow from the configuration.
constexpr std::string_view kIgnored[] = {"gpt_neox.layers.*.attention.bias",
                                         "gpt_neox.layers.*.attention.masked_bias",
                                         "gpt_neox.layers.*.attention.rotary_emb.inv_freq"};

Result<BuiltModel> build_gpt_neox(const formats::ModelMeta& meta,
                                  const tensor::WeightMap& weights,
                                  const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu";
  defaults.norm_eps = 1e-5;
  defaults.rope.partial = 0.25;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_parallel = meta.variant.parallel_residual.value_or(true);
  plan.is_gated = false;
  plan.qkv = QkvForm::kGrouped;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(true);
  plan.mlp_bias = true;
  plan.names = kNames;
  plan.ignored = kIgnored;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GPTNeoXForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gpt_neox"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gptneox"};

}  // namespace

extern const ArchSpec kGptNeox;
const ArchSpec kGptNeox = {"gpt_neox", kClassNames, kModelTypes, kGgufNames, build_gpt_neox};

}  // namespace inferneo::arch
