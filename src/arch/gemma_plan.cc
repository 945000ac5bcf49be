#include "arch/gemma_plan.h"

#include <cmath>

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"layer.*.attention_post_norm", "model.layers.*.post_attention_layernorm"},
    {"layer.*.ffn_norm", "model.layers.*.pre_feedforward_layernorm"},
    {"layer.*.ffn_post_norm", "model.layers.*.post_feedforward_layernorm"},
};

}  // namespace

Result<DecoderPlan> plan_gemma(const formats::ModelMeta& meta, double theta) {
  DecoderDefaults defaults;
  defaults.activation = "gelu_pytorch_tanh";
  defaults.is_tied = true;
  defaults.rope.theta = theta;
  defaults.head_dim = 256;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  // Converters to GGUF add the 1.
  plan.norm.weight_offset = plan.is_gguf ? 0 : 1;
  plan.embedding_scale = std::sqrt(static_cast<float>(plan.hidden));
  return plan;
}

void plan_gemma_layers(const formats::ModelMeta& meta, DecoderPlan& plan) {
  plan.has_attention_post_norm = plan.has_ffn_post_norm = true;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.names = kNames;
  // GGUF files do not say: it is the size of a head but in the models of 27 billion parameters,
  // which have 46 or 62 layers.
  const bool is_large = meta.layer_count == 46 || meta.layer_count == 62;
  const std::int64_t per_head = is_large ? plan.hidden / plan.heads : plan.head_dim;
  const double fallback = plan.is_gguf ? static_cast<double>(per_head) : 256;
  const double base = meta.variant.attention_scale_base.value_or(fallback);
  for (LayerPlan& layer : plan.layers) {
    layer.attention_scale = static_cast<float>(1 / std::sqrt(base));
  }
}

}  // namespace inferneo::arch
