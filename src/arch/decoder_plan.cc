#include <cmath>
#include <utility>

#include "arch/activations.h"
#include "arch/decoder.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

using formats::ModelMeta;

Status missing(const char* key) {
  return invalid_argument(str(key, " is missing")).with_where(key);
}

Status plan_head_dim(const ModelMeta& meta, std::int64_t fallback, DecoderPlan& plan) {
  plan.head_dim = meta.head_dim.value_or(fallback);
  if (plan.head_dim > 0) return ok_status();
  if (meta.hidden_size % meta.head_count != 0) {
    return invalid_argument(str("hidden_size is ",
                                meta.hidden_size,
                                ", but must be a multiple of num_attention_heads, which is ",
                                meta.head_count,
                                ", when there is no head_dim"))
        .with_where("hidden_size");
  }
  plan.head_dim = meta.hidden_size / meta.head_count;
  return ok_status();
}

void plan_ending(const ModelMeta& meta, DecoderPlan& plan) {
  const std::string& name = meta.architecture;
  if (name.ends_with("ForSequenceClassification")) {
    plan.ending = Ending::kClasses;
    // Spec: PretrainedConfig, whose default is two labels.
    plan.classes.count = meta.variant.label_count.value_or(2);
    plan.classes.has_bias = false;
  } else if (name.ends_with("Model") && !name.ends_with("LMHeadModel")) {
    plan.ending = Ending::kHidden;
  }
}

}  // namespace

Result<DecoderPlan> plan_decoder(const ModelMeta& meta, const DecoderDefaults& defaults) {
  DecoderPlan plan;
  plan.is_gguf = !meta.gguf_architecture.empty();
  plan.hidden = meta.hidden_size;
  plan.vocab = meta.vocab_size;
  plan.heads = meta.head_count;
  plan.kv_heads = meta.kv_head_count;
  RETURN_IF_ERROR(plan_head_dim(meta, defaults.head_dim, plan));
  plan.ffn = meta.ffn_size > 0 ? meta.ffn_size : defaults.ffn_factor * meta.hidden_size;
  if (plan.ffn == 0) return missing("intermediate_size");
  plan.context_tokens_max =
      meta.context_tokens_max > 0 ? meta.context_tokens_max : defaults.context_tokens_max;
  if (plan.context_tokens_max == 0) return missing("max_position_embeddings");
  ASSIGN_OR_RETURN(
      plan.activation,
      find_activation(meta.activation.empty() ? defaults.activation : meta.activation));
  plan.norm.eps = static_cast<float>(meta.norm_eps.value_or(defaults.norm_eps));
  plan.is_tied = meta.tie_embeddings.value_or(defaults.is_tied);
  plan_ending(meta, plan);
  plan.layers.resize(static_cast<std::size_t>(meta.layer_count));
  if (!defaults.has_rope) {
    for (LayerPlan& layer : plan.layers) layer.rope = graph::kNone;
    return plan;
  }
  ASSIGN_OR_RETURN(graph::Rope rope,
                   make_rope(meta.rope, plan.head_dim, plan.context_tokens_max, defaults.rope));
  plan.ropes.push_back(std::move(rope));
  return plan;
}

void plan_windows(const ModelMeta& meta,
                  std::int64_t fallback,
                  const std::function<bool(std::int64_t)>& has_window,
                  DecoderPlan& plan) {
  const std::int64_t window = meta.sliding_window.value_or(fallback);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const bool here = !has_window || has_window(static_cast<std::int64_t>(i));
    plan.layers[i].window = here ? window : 0;
  }
}

std::function<bool(std::int64_t)> all_but_every(const ModelMeta& meta,
                                                std::int64_t fallback_pattern) {
  if (!meta.window_layers.empty()) {
    return [layers = meta.window_layers](std::int64_t layer) {
      return bool{layers[static_cast<std::size_t>(layer)]};
    };
  }
  const std::int64_t pattern = meta.window_pattern.value_or(fallback_pattern);
  return [pattern](std::int64_t layer) { return pattern > 0 && (layer + 1) % pattern != 0; };
}

std::vector<float> alibi_slopes(std::int64_t heads) {
  std::int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  // Slopes of a power of two, then every other one of the next.
  const auto slope = [](double count, double index) {
    const auto base = static_cast<float>(std::exp2(-std::exp2(3 - std::log2(count))));
    return std::pow(base, static_cast<float>(index));
  };
  std::vector<float> slopes;
  for (std::int64_t i = 1; i <= power; ++i) {
    slopes.push_back(slope(static_cast<double>(power), static_cast<double>(i)));
  }
  for (std::int64_t i = 1; std::ssize(slopes) < heads; i += 2) {
    slopes.push_back(slope(static_cast<double>(2 * power), static_cast<double>(i)));
  }
  return slopes;
}

}  // namespace inferneo::arch
