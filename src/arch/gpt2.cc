// GPT-2: learned positions, layer norms, biases everywhere, and matrices stored as [in][out]. Spec:
// transformers 5, models/gpt2.
#include <array>
#include <cmath>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "transformer.wte"},
    {"positions", "transformer.wpe"},
    {"final_norm", "transformer.ln_f"},
    {"layer.*.attention_norm", "transformer.h.*.ln_1"},
    {"layer.*.qkv", "transformer.h.*.attn.c_attn"},
    {"layer.*.o", "transformer.h.*.attn.c_proj"},
    {"layer.*.ffn_norm", "transformer.h.*.ln_2"},
    {"layer.*.up", "transformer.h.*.mlp.c_fc"},
    {"layer.*.down", "transformer.h.*.mlp.c_proj"},
};

// Masks.
constexpr std::string_view kIgnored[] = {"transformer.h.*.attn.bias",
                                         "transformer.h.*.attn.masked_bias"};

Result<BuiltModel> build_gpt2(const formats::ModelMeta& meta,
                              const tensor::WeightMap& weights,
                              const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu_new";
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  defaults.has_rope = false;
  defaults.ffn_factor = 4;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = plan.mlp_bias = true;
  plan.position_offset = 0;
  plan.position_rows = plan.context_tokens_max;
  plan.names = kNames;
  plan.prefix = "transformer.";
  plan.ignored = kIgnored;
  plan.qkv = QkvForm::kConcatenated;
  plan.has_transposed_matrices = true;
  const bool scales = meta.variant.scales_attention.value_or(true);
  const bool by_layer = meta.variant.scales_by_layer.value_or(false);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const float scale = scales ? 1 / std::sqrt(static_cast<float>(plan.head_dim)) : 1.0F;
    plan.layers[i].attention_scale = by_layer ? scale / static_cast<float>(i + 1) : scale;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GPT2LMHeadModel"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gpt2"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gpt2"};

}  // namespace

extern const ArchSpec kGpt2;
const ArchSpec kGpt2 = {"gpt2", kClassNames, kModelTypes, kGgufNames, build_gpt2};

}  // namespace inferneo::arch
