// Gemma 3, its text part: Gemma 2 with norms of the heads of queries and keys in place of soft
// caps, and another rope in the layers with a window. Spec: transformers 5, models/gemma3.
#include <array>

#include "arch/decoder.h"
#include "arch/gemma_plan.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_gemma3(const formats::ModelMeta& meta,
                                const tensor::WeightMap& weights,
                                const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_gemma(meta, 1e6));
  plan_gemma_layers(meta, plan);
  plan.qk_norm = QkNorm::kHead;
  plan.qk_norm_plan = plan.norm;
  plan.attention_soft_cap = static_cast<float>(meta.variant.attention_soft_cap.value_or(0));
  plan.logit_soft_cap = static_cast<float>(meta.variant.logit_soft_cap.value_or(0));
  plan_windows(meta, 4096, all_but_every(meta, 6), plan);
  ASSIGN_OR_RETURN(
      graph::Rope local,
      make_rope(
          meta.window_rope.value_or(formats::RopeMeta()), plan.head_dim, plan.context_tokens_max));
  plan.ropes.push_back(std::move(local));
  for (LayerPlan& layer : plan.layers) layer.rope = layer.window > 0 ? 1 : 0;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"Gemma3ForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gemma3_text"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gemma3"};

}  // namespace

extern const ArchSpec kGemma3;
const ArchSpec kGemma3 = {"gemma3", kClassNames, kModelTypes, kGgufNames, build_gemma3};

}  // namespace inferneo::arch
