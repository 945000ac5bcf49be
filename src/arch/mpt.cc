// MPT: positions by ALiBi, layer norms without biases. Spec: transformers 5, models/mpt.
#include <array>
#include <cmath>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "transformer.wte"},
    {"final_norm", "transformer.norm_f"},
    {"layer.*.attention_norm", "transformer.blocks.*.norm_1"},
    {"layer.*.qkv", "transformer.blocks.*.attn.Wqkv"},
    {"layer.*.o", "transformer.blocks.*.attn.out_proj"},
    {"layer.*.ffn_norm", "transformer.blocks.*.norm_2"},
    {"layer.*.up", "transformer.blocks.*.ffn.up_proj"},
    {"layer.*.down", "transformer.blocks.*.ffn.down_proj"},
};

// For a number of heads between two powers of two: those of the next power, the odd ones first.
std::vector<float> mpt_slopes(std::int64_t heads, double bias_max) {
  std::int64_t power = 1;
  while (power < heads) power *= 2;
  std::vector<float> all;
  for (std::int64_t i = 1; i <= power; ++i) {
    const double exponent = static_cast<double>(i) * (bias_max / static_cast<double>(power));
    all.push_back(1 / std::exp2(static_cast<float>(exponent)));
  }
  if (power == heads) return all;
  std::vector<float> slopes;
  for (const std::size_t first : {std::size_t{1}, std::size_t{0}}) {
    for (std::size_t i = first; i < all.size(); i += 2) slopes.push_back(all[i]);
  }
  slopes.resize(static_cast<std::size_t>(heads));
  return slopes;
}

Result<BuiltModel> build_mpt(const formats::ModelMeta& meta,
                             const tensor::WeightMap& weights,
                             const graph::Arithmetic& arithmetic) {
  if (meta.variant.qk_norm.value_or(false)) {
    return unsupported(
               "attn_config.qk_ln is true; norms of queries and keys are not supported for "
               "this architecture")
        .with_where("attn_config.qk_ln");
  }
  DecoderDefaults defaults;
  defaults.activation = "gelu";
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  defaults.has_rope = false;
  defaults.ffn_factor = 4;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.qkv = QkvForm::kConcatenated;
  plan.qkv_clip = static_cast<float>(meta.variant.qkv_clip.value_or(0));
  plan.is_gated = false;
  plan.slopes = mpt_slopes(plan.heads, meta.variant.alibi_bias_max.value_or(8));
  const auto scale = static_cast<float>(meta.variant.attention_multiplier.value_or(0));
  for (LayerPlan& layer : plan.layers) layer.attention_scale = scale;
  plan.names = kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 2> kClassNames = {"MptForCausalLM", "MPTForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"mpt"};
constexpr std::array<std::string_view, 1> kGgufNames = {"mpt"};

}  // namespace

extern const ArchSpec kMpt;
const ArchSpec kMpt = {"mpt", kClassNames, kModelTypes, kGgufNames, build_mpt};

}  // namespace inferneo::arch
