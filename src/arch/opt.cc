// OPT: learned positions that begin at row 2, ReLU; the smallest but one has its norms behind the
// sums and a narrower embedding. Spec: transformers 5, models/opt.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "model.decoder.embed_tokens"},
    {"positions", "model.decoder.embed_positions"},
    {"embed_projection", "model.decoder.project_in"},
    {"head_projection", "model.decoder.project_out"},
    {"final_norm", "model.decoder.final_layer_norm"},
    {"layer.*.attention_norm", "model.decoder.layers.*.self_attn_layer_norm"},
    {"layer.*.attention_post_norm", "model.decoder.layers.*.self_attn_layer_norm"},
    {"layer.*.q", "model.decoder.layers.*.self_attn.q_proj"},
    {"layer.*.k", "model.decoder.layers.*.self_attn.k_proj"},
    {"layer.*.v", "model.decoder.layers.*.self_attn.v_proj"},
    {"layer.*.o", "model.decoder.layers.*.self_attn.out_proj"},
    {"layer.*.ffn_norm", "model.decoder.layers.*.final_layer_norm"},
    {"layer.*.ffn_post_norm", "model.decoder.layers.*.final_layer_norm"},
    {"layer.*.up", "model.decoder.layers.*.fc1"},
    {"layer.*.down", "model.decoder.layers.*.fc2"},
};

Result<BuiltModel> build_opt(const formats::ModelMeta& meta,
                             const tensor::WeightMap& weights,
                             const graph::Arithmetic& arithmetic) {
  DecoderDefaults defaults;
  defaults.activation = "relu";
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  defaults.has_rope = false;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.norm.eps = 1e-5F;
  plan.norm.has_weight = plan.norm.has_bias = meta.variant.norm_vectors.value_or(true);
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = plan.mlp_bias = meta.attention_bias.value_or(true);
  const std::int64_t embedding = meta.variant.embedding_size.value_or(plan.hidden);
  if (embedding != plan.hidden) plan.embedding_width = embedding;
  plan.position_offset = 2;
  plan.position_rows = plan.context_tokens_max + 2;
  plan.names = kNames;
  plan.prefix = "model.";
  if (!meta.variant.norm_before.value_or(true)) {
    plan.has_attention_norm = plan.has_ffn_norm = plan.has_final_norm = false;
    plan.has_attention_post_norm = plan.has_ffn_post_norm = plan.norms_sums = true;
  }
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"OPTForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"opt"};

}  // namespace

extern const ArchSpec kOpt;
const ArchSpec kOpt = {"opt", kClassNames, kModelTypes, {}, build_opt};

}  // namespace inferneo::arch
