// OLMo 1: layer norms without weights, and bounds of queries, keys and values. Spec: transformers
// 5, models/olmo.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

Result<BuiltModel> build_olmo(const formats::ModelMeta& meta,
                              const tensor::WeightMap& weights,
                              const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.ropes.front().adjacent = plan.is_gguf;
  plan.norm = {graph::NormKind::kLayer, 1e-5F, 0, false, false};
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.qkv_clip = static_cast<float>(meta.variant.qkv_clip.value_or(0));
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"OlmoForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"olmo"};
constexpr std::array<std::string_view, 1> kGgufNames = {"olmo"};

}  // namespace

extern const ArchSpec kOlmo;
const ArchSpec kOlmo = {"olmo", kClassNames, kModelTypes, kGgufNames, build_olmo};

}  // namespace inferneo::arch
