// Mistral: Llama with a window that all layers have. Spec: transformers 5, models/mistral.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_mistral(const formats::ModelMeta& meta,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  // Spec: MistralConfig, whose default is a window of 4096 when the file does not say.
  plan_windows(meta, 4096, {}, plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "MistralForCausalLM", "MistralModel", "MistralForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"mistral"};

}  // namespace

extern const ArchSpec kMistral;
const ArchSpec kMistral = {"mistral", kClassNames, kModelTypes, {}, build_mistral};

}  // namespace inferneo::arch
