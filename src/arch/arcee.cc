// Arcee (AFM): Llama with a plain feed-forward layer of squared ReLU. Spec: transformers 5,
// models/arcee.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_arcee(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "relu2";
  defaults.norm_eps = 1e-5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.ropes.front().adjacent = plan.is_gguf;
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.mlp_bias = meta.mlp_bias.value_or(false);
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"ArceeForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"arcee"};
constexpr std::array<std::string_view, 1> kGgufNames = {"arcee"};

}  // namespace

extern const ArchSpec kArcee;
const ArchSpec kArcee = {"arcee", kClassNames, kModelTypes, kGgufNames, build_arcee};

}  // namespace inferneo::arch
