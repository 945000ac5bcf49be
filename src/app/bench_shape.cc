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
// TinyLlama-1.1B.
constexpr std::array<NamedShape, 3> kShapes = {{
    {"135m", {30, 576, 1536, 9, 3, 64, 49152, true}},
    {"0.5b", {24, 896, 4864, 14, 2, 64, 151936, true}},
    {"1.1b", {22, 2048, 5632, 32, 4, 64, 32000, false}},
}};

// Weights of the linear layers of all layers, without embedding and head.
double layer_weights(const BenchShape& s) {
  const auto q = static_cast<double>(s.heads * s.head_dim);
  const auto kv = static_cast<double>(s.kv_heads * s.head_dim);
  const auto hidden = static_cast<double>(s.hidden);
  const auto ffn = static_cast<double>(s.ffn);
  return static_cast<double>(s.layers) * (hidden * (2 * q + 2 * kv) + 3 * hidden * ffn);
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
  return {.layers = meta.layer_count,
          .hidden = meta.hidden_size,
          .ffn = meta.ffn_size,
          .heads = meta.head_count,
          .kv_heads = meta.kv_head_count,
          .head_dim = meta.head_dim.value_or(meta.hidden_size / meta.head_count),
          .vocab = meta.vocab_size,
          .tied = meta.tie_embeddings.value_or(false)};
}

double weight_bytes_per_step(const BenchShape& shape, double weight_size) {
  return (layer_weights(shape) + head_weights(shape)) * weight_size;
}

double kv_bytes_per_step(const BenchShape& shape, std::int64_t context, double kv_size) {
  const auto row = static_cast<double>(2 * shape.kv_heads * shape.head_dim * shape.layers);
  return row * static_cast<double>(context) * kv_size;
}

double prefill_flops(const BenchShape& shape, std::int64_t tokens) {
  const auto n = static_cast<double>(tokens);
  // Causal attention: each of the two products sees half of the n x n square.
  const double attention = 2 * n * n * static_cast<double>(shape.heads * shape.head_dim) *
                           static_cast<double>(shape.layers);
  // The last layer goes on behind its attention for the row that gives logits alone.
  const auto hidden = static_cast<double>(shape.hidden);
  const double last = hidden * static_cast<double>(shape.heads * shape.head_dim) +
                      3 * hidden * static_cast<double>(shape.ffn);
  return 2 * n * (layer_weights(shape) - last) + 2 * last + 2 * head_weights(shape) + attention;
}

}  // namespace inferneo::app
