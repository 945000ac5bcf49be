#include "arch/granite_plan.h"

namespace inferneo::arch {

void plan_granite(const formats::ModelMeta& meta, DecoderPlan& plan) {
  const formats::VariantMeta& variant = meta.variant;
  plan.ropes.front().adjacent = plan.is_gguf;
  plan.qkv_bias = plan.output_bias = meta.attention_bias.value_or(false);
  plan.mlp_bias = meta.mlp_bias.value_or(false);
  plan.embedding_scale = static_cast<float>(variant.embedding_multiplier.value_or(1));
  plan.residual_scale = static_cast<float>(variant.residual_multiplier.value_or(1));
  // GGUF files call it a scale, and mean the same.
  const auto& divisor = plan.is_gguf ? variant.logit_multiplier : variant.logit_divisor;
  plan.logit_scale = static_cast<float>(1 / divisor.value_or(1));
  for (LayerPlan& layer : plan.layers) {
    layer.attention_scale = static_cast<float>(variant.attention_multiplier.value_or(1));
  }
}

}  // namespace inferneo::arch
