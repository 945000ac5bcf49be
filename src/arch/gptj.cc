// GPT-J: attention and feed-forward side by side on one norm, rotary positions of adjacent pairs.
// Spec: transformers 5, models/gptj.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "transformer.wte"},
    {"final_norm", "transformer.ln_f"},
    {"layer.*.attention_norm", "transformer.h.*.ln_1"},
    {"layer.*.q", "transformer.h.*.attn.q_proj"},
    {"layer.*.k", "transformer.h.*.attn.k_proj"},
    {"layer.*.v", "transformer.h.*.attn.v_proj"},
    {"layer.*.o", "transformer.h.*.attn.out_proj"},
    {"layer.*.up", "transformer.h.*.mlp.fc_in"},
    {"layer.*.down", "transformer.h.*.mlp.fc_out"},
};

// Masks.
constexpr std::string_view kIgnored[] = {"transformer.h.*.attn.bias",
                                         "transformer.h.*.attn.masked_bias"};

Result<BuiltModel> build_gptj(const formats::ModelMeta& meta,
                              const tensor::WeightMap& weights,
                              const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "gelu_new";
  defaults.norm_eps = 1e-5;
  defaults.ffn_factor = 4;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.ropes.front().adjacent = true;
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_parallel = true;
  plan.has_ffn_norm = false;
  plan.is_gated = false;
  plan.mlp_bias = plan.head_bias = true;
  plan.names = kNames;
  plan.ignored = kIgnored;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GPTJForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gptj"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gptj"};

}  // namespace

extern const ArchSpec kGptj;
const ArchSpec kGptj = {"gptj", kClassNames, kModelTypes, kGgufNames, build_gptj};

}  // namespace inferneo::arch
