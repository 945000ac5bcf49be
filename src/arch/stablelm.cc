// StableLM: layer norms, rotary positions of a part of each head, norms of single heads in the
// later models. Spec: transformers 5, models/stablelm.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.q_norm", "model.layers.*.self_attn.q_layernorm"},
    {"layer.*.k_norm", "model.layers.*.self_attn.k_layernorm"},
};

Result<BuiltModel> build_stablelm(const formats::ModelMeta& meta,
                                  const tensor::WeightMap& weights,
                                  const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.norm_eps = 1e-5;
  defaults.rope.partial = 0.25;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.is_parallel = meta.variant.parallel_residual.value_or(false);
  plan.has_ffn_norm = !plan.is_parallel;
  plan.qkv_bias = meta.attention_bias.value_or(false);
  if (meta.variant.qk_norm.value_or(false)) {
    plan.qk_norm = QkNorm::kEachHead;
    plan.qk_norm_plan = plan.norm;
    plan.qk_norm_plan.has_bias = false;
  }
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"StableLmForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"stablelm"};
constexpr std::array<std::string_view, 1> kGgufNames = {"stablelm"};

}  // namespace

extern const ArchSpec kStablelm;
const ArchSpec kStablelm = {"stablelm", kClassNames, kModelTypes, kGgufNames, build_stablelm};

}  // namespace inferneo::arch
