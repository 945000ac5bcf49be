// Command-R (Cohere 1 and 2): attention and feed-forward side by side on one norm, rotary positions
// of adjacent pairs; Cohere 2 has windows in three of four layers, and positions only there. Spec:
// transformers 5, models/cohere and models/cohere2.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_cohere(const formats::ModelMeta& meta,
                                const tensor::WeightMap& weights,
                                const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  const bool is_second = meta.architecture == "Cohere2ForCausalLM" ||
                         meta.model_type == "cohere2" || meta.gguf_architecture == "cohere2";
  if (!is_second) defaults.rope.theta = 500000;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.ropes.front().adjacent = true;
  plan.norm.kind = graph::NormKind::kLayer;
  plan.is_parallel = true;
  plan.has_ffn_norm = false;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.logit_scale = static_cast<float>(meta.variant.logit_multiplier.value_or(0.0625));
  if (meta.variant.qk_norm.value_or(false)) {
    plan.qk_norm = QkNorm::kEachHead;
    plan.qk_norm_plan = plan.norm;
  }
  if (is_second) {
    plan_windows(meta, 4096, all_but_every(meta, 4), plan);
    for (LayerPlan& layer : plan.layers) layer.rope = layer.window > 0 ? 0 : graph::kNone;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 2> kClassNames = {"CohereForCausalLM", "Cohere2ForCausalLM"};
constexpr std::array<std::string_view, 2> kModelTypes = {"cohere", "cohere2"};
constexpr std::array<std::string_view, 2> kGgufNames = {"command-r", "cohere2"};

}  // namespace

extern const ArchSpec kCohere;
const ArchSpec kCohere = {"cohere", kClassNames, kModelTypes, kGgufNames, build_cohere};

}  // namespace inferneo::arch
