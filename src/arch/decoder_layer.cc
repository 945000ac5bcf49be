#include "arch/decoder_layer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/str.h"

namespace inferneo::arch {

using graph::ProgramBuilder;
using graph::ValueId;
using tensor::TensorView;

TensorView slice(const TensorView& view, std::int64_t offset, const tensor::Shape& shape) {
  TensorView part{view.dtype, shape, view.data, view.scales};
  const std::int64_t blocks = offset / tensor::dtype_block_elements(view.dtype);
  // Why: a model may be built without its bytes.
  if (view.data != nullptr) {
    part.data += static_cast<std::size_t>(blocks) * tensor::dtype_block_size(view.dtype);
    if (view.scales != nullptr) part.scales += blocks;
  }
  return part;
}

ProgramBuilder::NormWeights take_norm(WeightReader& weights,
                                      const NormPlan& plan,
                                      const std::string& role,
                                      std::int64_t width) {
  ProgramBuilder::NormWeights norm;
  norm.kind = plan.kind;
  norm.eps = plan.eps;
  norm.weight_offset = plan.weight_offset;
  if (plan.has_weight) norm.weight.push_back(weights.take(role + ".weight", {width}));
  if (plan.has_bias) norm.bias = &weights.take(role + ".bias", {width});
  return norm;
}

DecoderLayer::DecoderLayer(const DecoderPlan& plan,
                           std::int32_t layer,
                           WeightReader& weights,
                           ProgramBuilder& builder)
    : plan_(plan),
      layer_(layer),
      here_(plan.layers[static_cast<std::size_t>(layer)]),
      weights_(weights),
      builder_(builder) {}

std::string DecoderLayer::role(std::string_view name) const {
  return str("layer.", layer_, ".", name);
}

bool DecoderLayer::gathers() const {
  const bool is_last = static_cast<std::size_t>(layer_) + 1 == plan_.layers.size();
  return is_last && !plan_.classes.reads_mean;
}

Status DecoderLayer::add(ValueId& sum) {
  const bool has_norm = plan_.has_attention_norm && here_.has_attention_norm;
  const ValueId attended = has_norm ? norm(sum, "attention_norm") : sum;
  ValueId mixed = plan_.latent ? attend_latent(attended) : attend(attended);
  if (!weights_.status().ok()) return weights_.status();
  ValueId ffn_in = attended;
  if (gathers()) {
    gather(mixed);
    gather(sum);
    if (plan_.is_parallel && !plan_.has_ffn_norm) gather(ffn_in);
  }
  // Why here: in a parallel layer, before attention is added.
  if (plan_.is_parallel && plan_.has_ffn_norm) ffn_in = norm(sum, "ffn_norm");
  const std::int64_t mixed_width =
      plan_.heads * (plan_.latent ? plan_.latent->value_dim : plan_.head_dim);
  const Weight output = take(role("o"), plan_.hidden, mixed_width, plan_.output_bias);
  if (!weights_.status().ok()) return weights_.status();
  join(sum, mixed, output, plan_.has_attention_post_norm, "attention_post_norm");
  if (!plan_.is_parallel) ffn_in = plan_.has_ffn_norm ? norm(sum, "ffn_norm") : sum;
  feed_forward(sum, ffn_in);
  return weights_.status();
}

DecoderLayer::Weight DecoderLayer::take(const std::string& name,
                                        std::int64_t out,
                                        std::int64_t in,
                                        bool bias) {
  const bool transposed = plan_.has_transposed_matrices && !plan_.is_gguf;
  Weight weight;
  if (transposed) {
    weight.matrix.view = weights_.take(name + ".weight", {in, out});
    weight.matrix.view.shape = {out, in};
    weight.matrix.row_stride = 1;
    weight.matrix.column_stride = out;
  } else {
    weight.matrix.view = weights_.take(name + ".weight", {out, in});
  }
  // GGUF files say nothing about biases: they are there or not.
  if (plan_.is_gguf) bias = weights_.has(name + ".bias");
  if (bias) weight.bias = &weights_.take(name + ".bias", {out});
  return weight;
}

DecoderLayer::Weight DecoderLayer::take_rows(const Weight& whole,
                                             std::int64_t begin,
                                             std::int64_t count) const {
  const graph::MatrixSource& matrix = whole.matrix;
  const std::int64_t in = matrix.view.shape[1];
  const std::int64_t stride = matrix.is_plain() ? in : matrix.row_stride;
  Weight part;
  part.matrix = matrix;
  part.matrix.view = slice(matrix.view, begin * stride, {count, in});
  if (whole.bias != nullptr) part.bias_slice = slice(*whole.bias, begin, {count});
  return part;
}

ValueId DecoderLayer::norm(ValueId in, std::string_view name) {
  const NormWeights vectors = take_norm(weights_, plan_.norm, role(name), plan_.hidden);
  if (!weights_.status().ok()) return in;
  return builder_.norm(in, builder_.norm_of(vectors, plan_.hidden));
}

void DecoderLayer::gather(ValueId& value) { value = builder_.gather_logit_rows(value); }

void DecoderLayer::join(
    ValueId& sum, ValueId in, const Weight& projection, bool post_norm, const char* name) {
  const bool norms_part = post_norm && !plan_.norms_sums;
  if (!norms_part && plan_.residual_scale == 1) {
    builder_.linear_add(sum, in, projection);
  } else {
    ValueId part = builder_.linear(in, {projection}).front();
    if (norms_part) part = norm(part, name);
    builder_.add(sum, part, plan_.residual_scale);
  }
  if (post_norm && plan_.norms_sums) sum = norm(sum, name);
}

DecoderLayer::Qkv DecoderLayer::project(ValueId in) {
  const std::int64_t q_width = plan_.heads * plan_.head_dim;
  const std::int64_t kv_width = plan_.kv_heads * plan_.head_dim;
  const std::int64_t hidden = plan_.hidden;
  // GGUF files hold one matrix or three, whatever the original did; in one, queries come first.
  QkvForm form = plan_.qkv;
  if (plan_.is_gguf) {
    form = weights_.has(role("qkv.weight")) ? QkvForm::kConcatenated : QkvForm::kSeparate;
  }
  std::array<Weight, 3> parts;
  if (form == QkvForm::kSeparate) {
    parts = {take(role("q"), q_width, hidden, plan_.qkv_bias),
             take(role("k"), kv_width, hidden, plan_.qkv_bias),
             take(role("v"), kv_width, hidden, plan_.qkv_bias)};
  } else {
    const Weight fused = take(role("qkv"), q_width + 2 * kv_width, hidden, plan_.qkv_bias);
    if (!weights_.status().ok()) return {};
    if (form == QkvForm::kGrouped) return split_grouped(builder_.linear(in, {fused}).front());
    parts = {take_rows(fused, 0, q_width),
             take_rows(fused, q_width, kv_width),
             take_rows(fused, q_width + kv_width, kv_width)};
  }
  if (!weights_.status().ok()) return {};
  const auto values = builder_.linear(in, parts);
  return {values[0], values[1], values[2]};
}

DecoderLayer::Qkv DecoderLayer::split_grouped(ValueId fused) {
  const std::int64_t dim = plan_.head_dim;
  const std::int64_t queries = plan_.heads / plan_.kv_heads * dim;
  const std::int64_t stride = queries + 2 * dim;
  const auto split = [&](std::int64_t begin, std::int64_t width) {
    const ValueId part = builder_.make_value(fused, plan_.kv_heads * width);
    builder_.copy_columns({fused, begin, stride, width}, {part, 0, width, width}, plan_.kv_heads);
    return part;
  };
  return {split(0, queries), split(queries, dim), split(queries + dim, dim)};
}

void DecoderLayer::norm_whole(Qkv& qkv) {
  const auto apply = [&](ValueId& value, const char* name, std::int64_t width) {
    const NormWeights vectors = take_norm(weights_, plan_.qk_norm_plan, role(name), width);
    if (weights_.status().ok()) value = builder_.norm(value, builder_.norm_of(vectors, width));
  };
  apply(qkv.q, "q_norm", plan_.heads * plan_.head_dim);
  apply(qkv.k, "k_norm", plan_.kv_heads * plan_.head_dim);
}

// Files hold the vectors of heads as one matrix, or as a vector each.
graph::Norm DecoderLayer::head_norm(std::string_view name, std::int64_t heads) {
  const std::string base = role(name);
  const std::int64_t dim = plan_.head_dim;
  NormWeights vectors{plan_.qk_norm_plan.kind,
                      plan_.qk_norm_plan.eps,
                      {},
                      nullptr,
                      plan_.qk_norm_plan.weight_offset};
  if (plan_.qk_norm == QkNorm::kHead) {
    vectors.weight.push_back(weights_.take(base + ".weight", {dim}));
  } else if (weights_.has(base + ".weight")) {
    vectors.weight.push_back(weights_.take(base + ".weight", {heads, dim}));
  } else {
    for (std::int64_t head = 0; head < heads; ++head) {
      vectors.weight.push_back(weights_.take(str(base, ".norms.", head, ".weight"), {dim}));
    }
  }
  if (plan_.qk_norm_plan.has_bias) vectors.bias = &weights_.take(base + ".bias", {dim});
  return weights_.status().ok() ? builder_.norm_of(vectors, dim, heads) : graph::Norm{};
}

graph::AttentionStyle DecoderLayer::style() {
  graph::AttentionStyle style;
  style.rope = here_.rope;
  style.scale = here_.attention_scale;
  style.soft_cap = plan_.attention_soft_cap;
  style.slopes = plan_.slopes;
  if (plan_.is_bidirectional) style.reach_after = graph::kUnlimitedReach;
  // Why not where it is as long as the context: such a layer sees all.
  if (here_.window > 0 && here_.window < plan_.context_tokens_max) {
    const auto reach =
        static_cast<std::int32_t>(std::min<std::int64_t>(here_.window - 1, graph::kUnlimitedReach));
    style.reach_before = reach;
    if (plan_.is_bidirectional) style.reach_after = reach;
  }
  if (plan_.has_sinks) {
    // Files of Hugging Face models name it without a last part.
    const char* name = plan_.is_gguf ? "sinks.weight" : "sinks";
    style.sinks = &weights_.take(role(name), {plan_.heads});
  }
  if (plan_.qk_norm == QkNorm::kHead || plan_.qk_norm == QkNorm::kEachHead) {
    style.q_norm = head_norm("q_norm", plan_.heads);
    style.k_norm = head_norm("k_norm", plan_.kv_heads);
  }
  return style;
}

ValueId DecoderLayer::attend(ValueId in) {
  Qkv qkv = project(in);
  if (!weights_.status().ok()) return in;
  if (plan_.qkv_clip > 0) {
    for (const ValueId id : {qkv.q, qkv.k, qkv.v}) builder_.clamp(id, plan_.qkv_clip);
  }
  if (plan_.qk_norm == QkNorm::kWhole) norm_whole(qkv);
  const graph::AttentionStyle style = this->style();
  if (!weights_.status().ok()) return in;
  return builder_.attention(layer_, qkv.q, qkv.k, qkv.v, style);
}

ValueId DecoderLayer::hidden_of(ValueId in) {
  const std::int64_t ffn = plan_.ffn;
  if (!plan_.is_gated) {
    const Weight up = take(role("up"), ffn, plan_.hidden, plan_.mlp_bias);
    if (!weights_.status().ok()) return in;
    const ValueId value = builder_.linear(in, {up}).front();
    builder_.activate(value, plan_.activation);
    return value;
  }
  const bool is_fused = plan_.is_gguf ? !weights_.has(role("gate.weight")) : plan_.has_fused_gate;
  Weight gate;
  Weight up;
  if (is_fused) {
    const Weight fused = take(role("gate_up"), 2 * ffn, plan_.hidden, plan_.mlp_bias);
    if (!weights_.status().ok()) return in;
    gate = take_rows(fused, 0, ffn);
    up = take_rows(fused, ffn, ffn);
  } else {
    gate = take(role("gate"), ffn, plan_.hidden, plan_.mlp_bias);
    up = take(role("up"), ffn, plan_.hidden, plan_.mlp_bias);
  }
  if (!weights_.status().ok()) return in;
  return builder_.gated_linear(in, gate, up, plan_.activation);
}

void DecoderLayer::feed_forward(ValueId& sum, ValueId in) {
  if (here_.has_experts) {
    ValueId out = route_and_run(in);
    if (!weights_.status().ok()) return;
    if (plan_.has_ffn_post_norm) out = norm(out, "ffn_post_norm");
    builder_.add(sum, out, plan_.residual_scale);
    return;
  }
  const ValueId hidden = hidden_of(in);
  const Weight down = take(role("down"), plan_.hidden, plan_.ffn, plan_.mlp_bias);
  if (!weights_.status().ok()) return;
  join(sum, hidden, down, plan_.has_ffn_post_norm, "ffn_post_norm");
}

}  // namespace inferneo::arch
