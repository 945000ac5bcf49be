// GPT-2: learned positions, layer norms, biases everywhere, and matrices stored as [in][out]. Spec:
// transformers 5, models/gpt2.
#include <array>
#include <cmath>

#include "arch/gpt2_plan.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_gpt2(const formats::ModelMeta& meta,
                              const tensor::WeightMap& weights,
                              const graph::Arithmetic& arithmetic) {
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_gpt2(meta, "gelu_new"));
  plan.qkv = QkvForm::kConcatenated;
  plan.has_transposed_matrices = true;
  const bool scales = meta.variant.scales_attention.value_or(true);
  const bool by_layer = meta.variant.scales_by_layer.value_or(false);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const float scale = scales ? 1 / std::sqrt(static_cast<float>(plan.head_dim)) : 1.0F;
    plan.layers[i].attention_scale = by_layer ? scale / static_cast<float>(i + 1) : scale;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"GPT2LMHeadModel"};
constexpr std::array<std::string_view, 1> kModelTypes = {"gpt2"};
constexpr std::array<std::string_view, 1> kGgufNames = {"gpt2"};

}  // namespace

extern const ArchSpec kGpt2;
const ArchSpec kGpt2 = {"gpt2", kClassNames, kModelTypes, kGgufNames, build_gpt2};

}  // namespace inferneo::arch
