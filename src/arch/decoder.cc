#include "arch/decoder.h"

#include <cmath>
#include <string>
#include <utility>

#include "arch/decoder_layer.h"
#include "base/str.h"

namespace inferneo::arch {
namespace {

using graph::ProgramBuilder;
using graph::ValueId;
using tensor::TensorView;

graph::AttentionShape attention_shape(const DecoderPlan& plan) {
  graph::AttentionShape shape = {std::ssize(plan.layers), plan.heads, plan.kv_heads, plan.head_dim};
  if (plan.latent) {
    shape.kv_heads = 1;
    shape.head_dim = plan.latent->rope_dim + plan.latent->rank;
    shape.is_latent = true;
  }
  shape.is_bidirectional = plan.is_bidirectional;
  return shape;
}

std::span<const WeightName> own_names(const DecoderPlan& plan) {
  return plan.is_gguf ? plan.names_in_gguf : plan.names;
}

WeightReader make_reader(const DecoderPlan& plan, const tensor::WeightMap& weights) {
  WeightReader reader(weights,
                      own_names(plan),
                      plan.is_gguf ? gguf_names() : hugging_face_names(),
                      plan.is_gguf ? "the metadata" : "config.json");
  if (!plan.is_gguf && !plan.optional_prefix.empty()) {
    reader.allow_missing_prefix(plan.optional_prefix);
  }
  for (const std::string_view pattern : plan.ignored) reader.ignore(pattern);
  // Part of the configuration by now.
  reader.ignore("rope_freqs.weight");
  reader.ignore("blk.*.attn_rot_embd.weight");
  reader.ignore("model.layers.*.self_attn.rotary_emb.inv_freq");
  return reader;
}

// The embedding of tokens with what is added to it before the first layer.
ValueId add_embedding(const DecoderPlan& plan,
                      const TensorView& table,
                      WeightReader& weights,
                      ProgramBuilder& builder) {
  ValueId sum = builder.embed(table);
  if (plan.embedding_scale != 1) builder.scale(sum, plan.embedding_scale);
  if (plan.position_offset) {
    const TensorView& positions =
        weights.take("positions.weight", {plan.position_rows, plan.hidden});
    if (weights.status().ok()) builder.add_positions(sum, positions, *plan.position_offset);
  }
  if (plan.has_embedding_norm) {
    const auto vectors = take_norm(weights, plan.norm, "embed_norm", plan.hidden);
    if (weights.status().ok()) sum = builder.norm(sum, builder.norm_of(vectors, plan.hidden));
  }
  return sum;
}

}  // namespace

Result<BuiltModel> build_decoder(const DecoderPlan& plan,
                                 const tensor::WeightMap& map,
                                 const graph::Arithmetic& arithmetic) {
  WeightReader weights = make_reader(plan, map);
  ProgramBuilder builder(attention_shape(plan), plan.ropes, arithmetic);
  const TensorView& table = weights.take("embed.weight", {plan.vocab, plan.hidden});
  // A tied model may store its head as well; what is stored counts, as in transformers.
  const bool own_head = !plan.is_tied || weights.has("head.weight");
  const TensorView& head =
      own_head ? weights.take("head.weight", {plan.vocab, plan.hidden}) : table;
  const TensorView* head_bias = plan.head_bias ? &weights.take("head.bias", {plan.vocab}) : nullptr;
  ProgramBuilder::NormWeights final_norm;
  if (plan.has_final_norm) final_norm = take_norm(weights, plan.norm, "final_norm", plan.hidden);
  if (!weights.status().ok()) return weights.status();

  ValueId sum = add_embedding(plan, table, weights, builder);
  if (!weights.status().ok()) return weights.status();
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    DecoderLayer layer(plan, static_cast<std::int32_t>(i), weights, builder);
    RETURN_IF_ERROR(layer.add(sum));
  }
  RETURN_IF_ERROR(weights.finish());
  if (plan.has_final_norm) sum = builder.norm(sum, builder.norm_of(final_norm, plan.hidden));
  const ValueId logits = builder.linear(sum, {{head, head_bias}}).front();
  if (plan.logit_scale != 1) builder.scale(logits, plan.logit_scale);
  if (plan.logit_soft_cap > 0) builder.soft_cap(logits, plan.logit_soft_cap);
  ASSIGN_OR_RETURN(graph::Program program, std::move(builder).finish(logits));
  return BuiltModel{std::move(program), plan.context_tokens_max};
}

}  // namespace inferneo::arch
