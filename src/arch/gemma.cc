// Gemma: norms whose weights are stored less 1, scaled embeddings, GELU. Spec: transformers 5,
// models/gemma.
#include <array>

#include "arch/decoder.h"
#include "arch/gemma_plan.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_gemma(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_gemma(meta));
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "GemmaForCausalLM", "GemmaModel", "GemmaForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gemma"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gemma"};

}  // namespace

extern const ArchSpec kGemma;
const ArchSpec kGemma = {"gemma", kClassNames, kModelTypes, kGgufNames, build_gemma};

}  // namespace inferneo::arch
