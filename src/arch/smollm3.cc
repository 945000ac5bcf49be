// SmolLM3: Llama without positions in every fourth layer. Spec: transformers 5, models/smollm3.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_smollm3(const formats::ModelMeta& meta,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.is_tied = true;
  defaults.rope.theta = 2e6;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.ropes.front().adjacent = plan.is_gguf;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.mlp_bias = meta.mlp_bias.value_or(false);
  const std::int64_t step = meta.no_rope_step.value_or(4);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const bool by_rule = (static_cast<std::int64_t>(i) + 1) % step != 0;
    const bool rotates = meta.rope_layers.empty() ? by_rule : bool{meta.rope_layers[i]};
    plan.layers[i].rope = rotates ? 0 : graph::kNone;
  }
  if (meta.uses_window.value_or(false)) {
    const auto listed = meta.window_layers;
    plan_windows(
        meta,
        0,
        [&](std::int64_t layer) {
          const auto i = static_cast<std::size_t>(layer);
          return listed.empty() ? plan.layers[i].rope == graph::kNone : bool{listed[i]};
        },
        plan);
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"SmolLM3ForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"smollm3"};
constexpr std::array<std::string_view, 1> kGgufNames = {"smollm3"};

}  // namespace

extern const ArchSpec kSmollm3;
const ArchSpec kSmollm3 = {"smollm3", kClassNames, kModelTypes, kGgufNames, build_smollm3};

}  // namespace inferneo::arch
