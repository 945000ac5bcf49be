// EXAONE 4: norms behind attention and feed-forward, norms of the heads of queries and keys; with
// windows, positions only in the layers that have one. Spec: transformers 5, models/exaone4.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.attention_post_norm", "model.layers.*.post_attention_layernorm"},
    {"layer.*.ffn_post_norm", "model.layers.*.post_feedforward_layernorm"},
};

Result<BuiltModel> build_exaone4(const formats::ModelMeta& meta,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.has_attention_norm = plan.has_ffn_norm = false;
  plan.has_attention_post_norm = plan.has_ffn_post_norm = true;
  plan.qk_norm = QkNorm::kHead;
  plan.qk_norm_plan = plan.norm;
  plan.names = kNames;
  if (meta.sliding_window.value_or(plan.is_gguf ? 0 : 4096) > 0) {
    plan_windows(meta, 4096, all_but_every(meta, 4), plan);
    for (LayerPlan& layer : plan.layers) layer.rope = layer.window > 0 ? 0 : graph::kNone;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"Exaone4ForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"exaone4"};
constexpr std::array<std::string_view, 1> kGgufNames = {"exaone4"};

}  // namespace

extern const ArchSpec kExaone4;
const ArchSpec kExaone4 = {"exaone4", kClassNames, kModelTypes, kGgufNames, build_exaone4};

}  // namespace inferneo::arch
