// Mixtral: Mistral with experts. Spec: transformers 5, models/mixtral.
#include <array>

#include "arch/decoder.h"
#include "arch/experts.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.router", "model.layers.*.block_sparse_moe.gate"},
    {"layer.*.expert.*.gate", "model.layers.*.block_sparse_moe.experts.*.w1"},
    {"layer.*.expert.*.up", "model.layers.*.block_sparse_moe.experts.*.w3"},
    {"layer.*.expert.*.down", "model.layers.*.block_sparse_moe.experts.*.w2"},
};

Result<BuiltModel> build_mixtral(const formats::ModelMeta& meta,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  defaults.rope.theta = 1e6;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan_windows(meta, 0, {}, plan);
  RETURN_IF_ERROR(plan_mixtral_experts(meta, plan));
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"MixtralForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"mixtral"};

}  // namespace

extern const ArchSpec kMixtral;
const ArchSpec kMixtral = {"mixtral", kClassNames, kModelTypes, {}, build_mixtral};

}  // namespace inferneo::arch
