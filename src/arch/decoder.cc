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
  if (!plan.is_gguf) reader.allow_other_prefix(plan.prefix, plan.other_prefixes);
  for (const std::string_view pattern : plan.ignored) reader.ignore(pattern);
  // Part of the configuration by now.
  reader.ignore("rope_freqs.weight");
  reader.ignore("rope_factors_short.weight");
  reader.ignore("rope_factors_long.weight");
  reader.ignore("blk.*.attn_rot_embd.weight");
  reader.ignore("model.layers.*.self_attn.rotary_emb.inv_freq");
  return reader;
}

// A matrix that GGUF files hold as a vector when it has one row.
TensorView take_rows(const DecoderPlan& plan,
                     WeightReader& weights,
                     std::string_view role,
                     std::int64_t rows) {
  const TensorView* found = weights.find(role);
  const bool is_vector = plan.is_gguf && rows == 1 && found != nullptr && found->shape.rank() == 1;
  TensorView view = weights.take(
      role, is_vector ? tensor::Shape({plan.hidden}) : tensor::Shape({rows, plan.hidden}));
  view.shape = {rows, plan.hidden};
  return view;
}

// The embedding of tokens with what is added to it before the first layer.
ValueId add_embedding(const DecoderPlan& plan,
                      const TensorView& table,
                      WeightReader& weights,
                      ProgramBuilder& builder) {
  ValueId sum = builder.embed(table);
  if (plan.embedding_width > 0) {
    const TensorView& matrix =
        weights.take("embed_projection.weight", {plan.hidden, plan.embedding_width});
    if (!weights.status().ok()) return sum;
    sum = builder.linear(sum, {{matrix}}).front();
  }
  if (plan.embedding_scale != 1) builder.scale(sum, plan.embedding_scale);
  if (plan.position_offset) {
    const TensorView& positions =
        weights.take("positions.weight", {plan.position_rows, plan.hidden});
    if (weights.status().ok()) builder.add_positions(sum, positions, *plan.position_offset);
  }
  if (plan.token_type_count > 0) {
    const TensorView types = take_rows(plan, weights, "token_types.weight", plan.token_type_count);
    if (weights.status().ok()) builder.add_segments(sum, types);
  }
  if (plan.has_embedding_norm) {
    const auto vectors = take_norm(weights, plan.norm, "embed_norm", plan.hidden);
    if (weights.status().ok()) sum = builder.norm(sum, builder.norm_of(vectors, plan.hidden));
  }
  return sum;
}

// What makes logits of the last hidden states.
struct Head {
  TensorView matrix;
  const TensorView* bias = nullptr;
};

Head take_head(const DecoderPlan& plan, const TensorView& table, WeightReader& weights) {
  // A tied model may store its head as well; what is stored counts, as in transformers.
  const bool is_own = !plan.is_tied || weights.has("head.weight");
  Head head;
  head.matrix = is_own ? weights.take("head.weight", {plan.vocab, table.shape[1]}) : table;
  if (plan.head_bias) head.bias = &weights.take("head.bias", {plan.vocab});
  return head;
}

// The scores of classes.
ValueId add_classes(const DecoderPlan& plan,
                    ValueId hidden,
                    WeightReader& weights,
                    ProgramBuilder& builder) {
  const ClassPlan& classes = plan.classes;
  const std::int64_t width = plan.hidden;
  if (classes.has_dense) {
    const TensorView& dense = weights.take("class_dense.weight", {width, width});
    const TensorView* bias =
        classes.dense_bias ? &weights.take("class_dense.bias", {width}) : nullptr;
    if (!weights.status().ok()) return hidden;
    hidden = builder.linear(hidden, {{dense, bias}}).front();
    if (classes.is_tanh) {
      builder.soft_cap(hidden, 1);
    } else {
      builder.activate(hidden, classes.activation);
    }
  }
  if (classes.has_norm) {
    const auto vectors = take_norm(weights, plan.norm, "class_norm", width);
    if (!weights.status().ok()) return hidden;
    hidden = builder.norm(hidden, builder.norm_of(vectors, width));
  }
  const TensorView matrix = take_rows(plan, weights, "classes.weight", classes.count);
  const TensorView* bias =
      classes.has_bias ? &weights.take("classes.bias", {classes.count}) : nullptr;
  if (!weights.status().ok()) return hidden;
  return builder.linear(hidden, {{matrix, bias}}).front();
}

}  // namespace

Result<BuiltModel> build_decoder(const DecoderPlan& plan,
                                 const tensor::WeightMap& map,
                                 const graph::Arithmetic& arithmetic) {
  WeightReader weights = make_reader(plan, map);
  ProgramBuilder builder(attention_shape(plan), plan.ropes, arithmetic);
  const std::int64_t table_width = plan.embedding_width > 0 ? plan.embedding_width : plan.hidden;
  const TensorView& table = weights.take("embed.weight", {plan.vocab, table_width});
  if (!weights.status().ok()) return weights.status();
  Head head;
  if (plan.ending == Ending::kLogits) head = take_head(plan, table, weights);
  if (!weights.status().ok()) return weights.status();

  ValueId sum = add_embedding(plan, table, weights, builder);
  if (!weights.status().ok()) return weights.status();
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    DecoderLayer layer(plan, static_cast<std::int32_t>(i), weights, builder);
    RETURN_IF_ERROR(layer.add(sum));
  }
  if (plan.has_final_norm) {
    const auto vectors = take_norm(weights, plan.norm, "final_norm", plan.hidden);
    if (!weights.status().ok()) return weights.status();
    sum = builder.norm(sum, builder.norm_of(vectors, plan.hidden));
  }
  if (plan.embedding_width > 0) {
    const TensorView& matrix =
        weights.take("head_projection.weight", {plan.embedding_width, plan.hidden});
    if (!weights.status().ok()) return weights.status();
    sum = builder.linear(sum, {{matrix}}).front();
  }
  if (plan.classes.reads_mean) sum = builder.mean_rows(sum);
  if (plan.ending == Ending::kClasses) sum = add_classes(plan, sum, weights, builder);
  // A head that is stored beside its absence: files of the model with a head, read without it.
  if (plan.ending != Ending::kLogits) weights.ignore("lm_head.weight");
  RETURN_IF_ERROR(weights.finish());

  BuiltModel built;
  built.context_tokens_max = plan.context_tokens_max;
  built.vector_rows = plan.vector_rows;
  if (plan.ending != Ending::kLogits) {
    built.class_count = plan.classes.count;
    ASSIGN_OR_RETURN(built.program, std::move(builder).finish_hidden(sum));
    return built;
  }
  const ValueId logits = builder.linear(sum, {{head.matrix, head.bias}}).front();
  if (plan.logit_scale != 1) builder.scale(logits, plan.logit_scale);
  if (plan.logit_soft_cap > 0) builder.soft_cap(logits, plan.logit_soft_cap);
  ASSIGN_OR_RETURN(built.program, std::move(builder).finish(logits));
  return built;
}

}  // namespace inferneo::arch
