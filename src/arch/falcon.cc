// Falcon: one key/value head, or groups in the later layout; attention and feed-forward side by
// side on one norm, on two, or one after the other. Spec: transformers 5, models/falcon.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

// The first of the two norms is that of the feed-forward layer there.
constexpr WeightName kTwoNormGgufNames[] = {
    {"layer.*.attention_norm", "blk.*.attn_norm_2"},
    {"layer.*.ffn_norm", "blk.*.attn_norm"},
};
constexpr WeightName kTwoNormNames[] = {
    {"layer.*.attention_norm", "transformer.h.*.ln_attn"},
    {"layer.*.ffn_norm", "transformer.h.*.ln_mlp"},
    {"embed", "transformer.word_embeddings"},
    {"final_norm", "transformer.ln_f"},
    {"layer.*.qkv", "transformer.h.*.self_attention.query_key_value"},
    {"layer.*.o", "transformer.h.*.self_attention.dense"},
    {"layer.*.up", "transformer.h.*.mlp.dense_h_to_4h"},
    {"layer.*.down", "transformer.h.*.mlp.dense_4h_to_h"},
};
constexpr WeightName kNames[] = {
    {"layer.*.attention_norm", "transformer.h.*.input_layernorm"},
    {"layer.*.ffn_norm", "transformer.h.*.post_attention_layernorm"},
    {"embed", "transformer.word_embeddings"},
    {"final_norm", "transformer.ln_f"},
    {"layer.*.qkv", "transformer.h.*.self_attention.query_key_value"},
    {"layer.*.o", "transformer.h.*.self_attention.dense"},
    {"layer.*.up", "transformer.h.*.mlp.dense_h_to_4h"},
    {"layer.*.down", "transformer.h.*.mlp.dense_4h_to_h"},
};

Result<BuiltModel> build_falcon(const formats::ModelMeta& meta,
                                const tensor::WeightMap& weights,
                                const graph::Arithmetic& arithmetic) {
  // Why: the reference rounds these to bf16 position by position.
  if (meta.variant.alibi.value_or(false)) {
    return unsupported("alibi is true; Falcon models are supported with rotary positions only")
        .with_where("alibi");
  }
  DecoderDefaults defaults;
  defaults.activation = "gelu";
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  defaults.ffn_factor = 4;
  defaults.context_tokens_max = 2048;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  const bool has_two_in_gguf = weights.find("blk.0.attn_norm_2.weight") != nullptr;
  const bool is_later = meta.variant.grouped_heads.value_or(has_two_in_gguf);
  const bool shares_keys = meta.variant.multi_query.value_or(true);
  if (!is_later && !plan.is_gguf) plan.kv_heads = shares_keys ? 1 : plan.heads;
  plan.qkv = QkvForm::kGrouped;
  plan.is_gated = false;
  plan.qkv_bias = plan.output_bias = plan.mlp_bias = meta.attention_bias.value_or(false);
  plan.is_parallel = is_later || meta.variant.parallel_residual.value_or(true);
  const bool has_two = is_later && meta.variant.parallel_norm_count.value_or(2) == 2;
  plan.has_ffn_norm = !plan.is_parallel || has_two;
  if (has_two && plan.is_gguf) plan.names_in_gguf = kTwoNormGgufNames;
  plan.names = has_two ? std::span<const WeightName>(kTwoNormNames) : kNames;
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 2> kClassNames = {"FalconForCausalLM", "RWForCausalLM"};
constexpr std::array<std::string_view, 3> kModelTypes = {"falcon", "RefinedWeb", "RefinedWebModel"};
constexpr std::array<std::string_view, 1> kGgufNames = {"falcon"};

}  // namespace

extern const ArchSpec kFalcon;
const ArchSpec kFalcon = {"falcon", kClassNames, kModelTypes, kGgufNames, build_falcon};

}  // namespace inferneo::arch
