#include "arch/gpt2_plan.h"

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

}  // namespace

Result<DecoderPlan> plan_gpt2(const formats::ModelMeta& meta, std::string_view activation) {
  DecoderDefaults defaults;
  defaults.activation = activation;
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
  return plan;
}

}  // namespace inferneo::arch
