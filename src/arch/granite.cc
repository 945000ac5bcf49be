// Granite: Llama with multipliers of embeddings, attention, residuals and logits. Spec:
// transformers 5, models/granite.
#include <array>

#include "arch/decoder.h"
#include "arch/granite_plan.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_granite(const formats::ModelMeta& meta,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  plan_granite(meta, plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GraniteForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"granite"};
constexpr std::array<std::string_view, 1> kGgufNames = {"granite"};

}  // namespace

extern const ArchSpec kGranite;
const ArchSpec kGranite = {"granite", kClassNames, kModelTypes, kGgufNames, build_granite};

}  // namespace inferneo::arch
