// The sizes of a model that its speed is measured against: bytes that a decode step must read and
// operations that a prefill must do. Counts matrix products and attention only; the rest is small.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "formats/model_meta.h"

namespace inferneo::app {

struct BenchShape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;
  bool tied = false;  // the head is the embedding
  // Of a mixture: a token goes through `chosen` of the experts, each as wide as `ffn`.
  std::int64_t experts = 0;
  std::int64_t chosen = 1;
  // Of attention through a latent vector: its size, and those of a head with and without position;
  // values of heads are as wide as the latter.
  std::int64_t latent_rank = 0;
  std::int64_t rope_dim = 0;
  std::int64_t nope_dim = 0;
};

// "135m", "0.5b" or "1.1b": random weights in the shape of a published Llama model; with "-moe" and
// "-mla" behind it, of a mixture of experts and of latent attention that go through as many weights
// for a token.
// Failures: invalid_argument with the names there are.
Result<BenchShape> named_shape(std::string_view name);

BenchShape shape_of(const formats::ModelMeta& meta);

// Bytes of weights that one decode step reads: every linear layer and the head, of experts those of
// one sequence.
double weight_bytes_per_step(const BenchShape& shape, double weight_size);
// Bytes of keys and values that one sequence with `context` tokens adds to that.
double kv_bytes_per_step(const BenchShape& shape, std::int64_t context, double kv_size);
// Floating-point operations of a prefill of `tokens` tokens that needs the last row's logits.
double prefill_flops(const BenchShape& shape, std::int64_t tokens);

}  // namespace inferneo::app
