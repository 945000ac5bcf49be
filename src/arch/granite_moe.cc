// Granite-MoE: Granite with experts, whose gates and ups are stored together. Spec: transformers 5,
// models/granitemoe.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"
#include "arch/granite_plan.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.router", "model.layers.*.block_sparse_moe.router.layer"},
    {"layer.*.experts.gate_up", "model.layers.*.block_sparse_moe.input_linear"},
    {"layer.*.experts.down", "model.layers.*.block_sparse_moe.output_linear"},
};

Result<BuiltModel> build_granite_moe(const formats::ModelMeta& meta,
                                     const tensor::WeightMap& weights,
                                     const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta));
  plan_granite(meta, plan);
  RETURN_IF_ERROR(plan_mixtral_experts(meta, plan));
  plan.moe->form = MoePlan::Form::kFusedStacked;
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GraniteMoeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"granitemoe"};
constexpr std::array<std::string_view, 1> kGgufNames = {"granitemoe"};

}  // namespace

extern const ArchSpec kGraniteMoe;
const ArchSpec kGraniteMoe = {
    "granite_moe", kClassNames, kModelTypes, kGgufNames, build_granite_moe};

}  // namespace inferneo::arch
