// GPT-BigCode (SantaCoder, StarCoder): GPT-2 with one key/value head and plain matrices. Spec:
// transformers 5, models/gpt_bigcode.
#include <array>

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

Result<BuiltModel> build_gpt_bigcode(const formats::ModelMeta& meta,
                                     const tensor::WeightMap& weights,
                                     const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu_pytorch_tanh";
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
  plan.qkv = QkvForm::kGrouped;
  if (!plan.is_gguf) plan.kv_heads = meta.variant.multi_query.value_or(true) ? 1 : plan.heads;
  if (!meta.variant.scales_attention.value_or(true)) {
    for (LayerPlan& layer : plan.layers) layer.attention_scale = 1;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GPTBigCodeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gpt_bigcode"};
constexpr std::array<std::string_view, 1> kGgufNames = {"starcoder"};

}  // namespace

extern const ArchSpec kGptBigcode;
const ArchSpec kGptBigcode = {
    "gpt_bigcode", kClassNames, kModelTypes, kGgufNames, build_gpt_bigcode};

}  // namespace inferneo::arch
