// OLMo 2 and 3: norms behind attention and feed-forward, norms of queries and keys as a whole; OLMo
// 3 has windows in three of four layers. Spec: transformers 5, models/olmo2 and models/olmo3.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.attention_post_norm", "model.layers.*.post_attention_layernorm"},
    {"layer.*.ffn_post_norm", "model.layers.*.post_feedforward_layernorm"},
};

Result<BuiltModel> build_olmo2(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.has_attention_norm = plan.has_ffn_norm = false;
  plan.has_attention_post_norm = plan.has_ffn_post_norm = true;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.qk_norm = QkNorm::kWhole;
  plan.qk_norm_plan = plan.norm;
  plan.names = kNames;
  const bool has_windows =
      meta.architecture == "Olmo3ForCausalLM" || meta.model_type == "olmo3" || plan.is_gguf;
  if (has_windows) plan_windows(meta, plan.is_gguf ? 0 : 4096, all_but_every(meta, 4), plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 2> kClassNames = {"Olmo2ForCausalLM", "Olmo3ForCausalLM"};
constexpr std::array<std::string_view, 2> kModelTypes = {"olmo2", "olmo3"};
constexpr std::array<std::string_view, 1> kGgufNames = {"olmo2"};

}  // namespace

extern const ArchSpec kOlmo2;
const ArchSpec kOlmo2 = {"olmo2", kClassNames, kModelTypes, kGgufNames, build_olmo2};

}  // namespace inferneo::arch
