// BLOOM: positions by ALiBi, a norm of the embedding, fused projections by head. Spec: transformers
// 5, models/bloom.
#include <array>

#include "arch/decoder.h"

namespace inferneo::arch {
namespace {

constexpr WeightName kNames[] = {
    {"embed", "transformer.word_embeddings"},
    {"embed_norm", "transformer.word_embeddings_layernorm"},
    {"final_norm", "transformer.ln_f"},
    {"layer.*.attention_norm", "transformer.h.*.input_layernorm"},
    {"layer.*.qkv", "transformer.h.*.self_attention.query_key_value"},
    {"layer.*.o", "transformer.h.*.self_attention.dense"},
    {"layer.*.ffn_norm", "transformer.h.*.post_attention_layernorm"},
    {"layer.*.up", "transformer.h.*.mlp.dense_h_to_4h"},
    {"layer.*.down", "transformer.h.*.mlp.dense_4h_to_h"},
};

Result<BuiltModel> build_bloom(const formats::ModelMeta& meta,
                               const tensor::WeightMap& weights,
                               const graph::Arithmetic& arithmetic) {
  if (meta.variant.residual_from_norm.value_or(false)) {
    return unsupported("apply_residual_connection_post_layernorm is true; only false is supported")
        .with_where("apply_residual_connection_post_layernorm");
  }
  DecoderDefaults defaults;
  defaults.activation = "gelu_pytorch_tanh";
  defaults.norm_eps = 1e-5;
  defaults.is_tied = true;
  defaults.has_rope = false;
  defaults.ffn_factor = 4;
  defaults.context_tokens_max = 2048;
  ASSIGN_OR_RETURN(DecoderPlan plan, plan_decoder(meta, defaults));
  plan.norm.kind = graph::NormKind::kLayer;
  plan.norm.has_bias = true;
  plan.has_embedding_norm = true;
  plan.qkv = QkvForm::kGrouped;
  plan.qkv_bias = plan.output_bias = plan.mlp_bias = true;
  plan.is_gated = false;
  plan.slopes = alibi_slopes(plan.heads);
  plan.names = kNames;
  plan.prefix = "transformer.";
  return build_decoder(plan, weights, arithmetic);
}

constexpr std::array<std::string_view, 1> kClassNames = {"BloomForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"bloom"};
constexpr std::array<std::string_view, 1> kGgufNames = {"bloom"};

}  // namespace

extern const ArchSpec kBloom;
const ArchSpec kBloom = {"bloom", kClassNames, kModelTypes, kGgufNames, build_bloom};

}  // namespace inferneo::arch
