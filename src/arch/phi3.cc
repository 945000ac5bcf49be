// Phi-3 and Phi-4: Llama with fused projections, a window that all layers may have, and longrope.
// Spec: transformers 5, models/phi3.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_phi3(const formats::ModelMeta& meta,
                              const tensor::WeightMap& weights,
                              const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.qkv = QkvForm::kConcatenated;
  plan.has_fused_gate = true;
  plan_windows(meta, 0, {}, plan);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 3> kClassNames = {
    "Phi3ForCausalLM", "Phi3Model", "Phi3ForSequenceClassification"};
constexpr std::array<std::string_view, 1> kModelTypes = {"phi3"};
constexpr std::array<std::string_view, 1> kGgufNames = {"phi3"};

}  // namespace

extern const ArchSpec kPhi3;
const ArchSpec kPhi3 = {"phi3", kClassNames, kModelTypes, kGgufNames, build_phi3};

}  // namespace inferneo::arch
