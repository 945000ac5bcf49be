// Nemotron: layer norms whose weights are stored less 1, a plain feed-forward layer with squared
// ReLU, rotary positions of a part of each head. Spec: transformers 5, models/nemotron.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_nemotron(const formats::ModelMeta& meta,
                                  const tensor::WeightMap& weights,
                                  const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "relu2";
  defaults.norm_eps = 1e-5;
  defaults.rope.partial = 0.5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  if (!plan.is_gguf) plan.norm.weight_offset = 1;
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.mlp_bias = meta.mlp_bias.value_or(false);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"NemotronForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"nemotron"};
constexpr std::array<std::string_view, 1> kGgufNames = {"nemotron"};

}  // namespace

extern const ArchSpec kNemotron;
const ArchSpec kNemotron = {"nemotron", kClassNames, kModelTypes, kGgufNames, build_nemotron};

}  // namespace inferneo::arch
