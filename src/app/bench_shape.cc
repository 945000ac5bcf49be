#include "app/bench_shape.h"

#include <array>

#include "base/str.h"

namespace inferneo::app {
namespace {

struct NamedShape {
  std::string_view name;
  BenchShape shape;
};

// Spec: config.json of SmolLM2-135M, of a Llama with the sizes of Qwen2.5-0.5B, and of
// TinyLlama-1.1B. The mixtures split the feed-forward width among the two experts of a token, of
// eight. With latent attention, the rank makes the products of attention about as many.
constexpr std::array<NamedShape, 7> kShapes = {{
    {"135m", {30, 576, 1536, 9, 3, 64, 49152, true}},
    {"135m-moe", {30, 576, 768, 9, 3, 64, 49152, true, 8, 2}},
    {"135m-mla", {30, 576, 1536, 9, 9, 64, 49152, true, 0, 1, 288, 32, 32}},
    {"0.5b", {24, 896, 4864, 14, 2, 64, 151936, true}},
    {"0.5b-moe", {24, 896, 2432, 14, 2, 64, 151936, true, 8, 2}},
    {"0.5b-mla", {24, 896, 4864, 14, 14, 64, 151936, true, 0, 1, 320, 32, 32}},
    {"1.1b", {22, 2048, 5632, 32, 4, 64, 32000, false}},
}};

// Weights of the attention of a layer.
double attention_weights(const BenchShape& s) {
  const auto hidden = static_cast<double>(s.hidden);
  const auto heads = static_cast<double>(s.heads);
  if (s.latent_rank > 0) {
    const auto rank = static_cast<double>(s.latent_rank);
    const auto rope = static_cast<double>(s.rope_dim);
    const auto nope = static_cast<double>(s.nope_dim);
    return hidden * (heads * (2 * nope + rope) + rank + rope) + 2 * heads * nope * rank;
  }
  const auto q = static_cast<double>(s.heads * s.head_dim);
  const auto kv = static_cast<double>(s.kv_heads * s.head_dim);
  return hidden * (2 * q + 2 * kv);
}

// Weights of the feed-forward part of a layer that one token goes through.
double ffn_weights(const BenchShape& s) {
  const auto hidden = static_cast<double>(s.hidden);
  return 3 * hidden * static_cast<double>(s.ffn * s.chosen) +
         hidden * static_cast<double>(s.experts);
}

// Weights of the linear layers of all layers, without embedding and head.
double layer_weights(const BenchShape& s) {
  return static_cast<double>(s.layers) * (attention_weights(s) + ffn_weights(s));
}

double head_weights(const BenchShape& s) {
  return static_cast<double>(s.hidden) * static_cast<double>(s.vocab);
}

}  // namespace

Result<BenchShape> named_shape(std::string_view name) {
  std::string names;
  for (const NamedShape& named : kShapes) {
    if (named.name != name) {
      names += str(names.empty() ? "" : ", ", named.name);
      continue;
    }
    return named.shape;
  }
  return invalid_argument(str("there is no shape '", printable(name), "'"))
      .with_hint(str("shapes: ", names));
}

BenchShape shape_of(const formats::ModelMeta& meta) {
  const bool is_mixture = meta.moe.expert_count.value_or(0) > 0;
  return {.layers = meta.layer_count,
          .hidden = meta.hidden_size,
          .ffn = is_mixture ? meta.moe.ffn_size.value_or(meta.ffn_size) : meta.ffn_size,
          .heads = meta.head_count,
          .kv_heads = meta.kv_head_count,
          .head_dim = meta.head_dim.value_or(meta.hidden_size / meta.head_count),
          .vocab = meta.vocab_size,
          .tied = meta.tie_embeddings.value_or(false),
          .experts = meta.moe.expert_count.value_or(0),
          .chosen = is_mixture ? meta.moe.chosen_count.value_or(1) : 1,
          .latent_rank = meta.latent.rank.value_or(0),
          .rope_dim = meta.latent.rope_dim.value_or(0),
          .nope_dim = meta.latent.nope_dim.value_or(0)};
}

double weight_bytes_per_step(const BenchShape& shape, double weight_size) {
  return (layer_weights(shape) + head_weights(shape)) * weight_size;
}

double kv_bytes_per_step(const BenchShape& shape, std::int64_t context, double kv_size) {
  const std::int64_t width = shape.latent_rank > 0 ? shape.latent_rank + shape.rope_dim
                                                   : 2 * shape.kv_heads * shape.head_dim;
  const auto row = static_cast<double>(width * shape.layers);
  return row * static_cast<double>(context) * kv_size;
}

double prefill_flops(const BenchShape& shape, std::int64_t tokens) {
  const auto n = static_cast<double>(tokens);
  // Causal attention: each of the two products sees half of the n x n square.
  const double attention = 2 * n * n * static_cast<double>(shape.heads * shape.head_dim) *
                           static_cast<double>(shape.layers);
  // The last layer goes on behind its attention for the row that gives logits alone.
  const auto hidden = static_cast<double>(shape.hidden);
  const double last =
      hidden * static_cast<double>(shape.heads * shape.head_dim) + ffn_weights(shape);
  return 2 * n * (layer_weights(shape) - last) + 2 * last + 2 * head_weights(shape) + attention;
}

}  // namespace inferneo::app
