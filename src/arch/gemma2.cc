// Gemma 2: Gemma with norms around attention and feed-forward, soft caps, and windows in every
// other layer. Spec: transformers 5, models/gemma2.
#include <array>

#include "arch/decoder.h"
#include "arch/gemma_plan.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_gemma2(const formats::ModelMeta& meta,
                                const tensor::WeightMap& weights,
                                const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_gemma(meta));
  plan_gemma_layers(meta, plan);
  plan.attention_soft_cap = static_cast<float>(meta.variant.attention_soft_cap.value_or(50));
  plan.logit_soft_cap = static_cast<float>(meta.variant.logit_soft_cap.value_or(30));
  plan_windows(meta, 4096, all_but_every(meta, 2), plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "Gemma2ForCausalLM", "Gemma2Model", "Gemma2ForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gemma2"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gemma2"};

}  // namespace

extern const ArchSpec kGemma2;
const ArchSpec kGemma2 = {"gemma2", kClassNames, kModelTypes, kGgufNames, build_gemma2};

}  // namespace inferneo::arch
