// Causal attention with grouped key/value heads for one row of tokens, forward and backward.
//
// Queries, keys and values of a token lie side by side in one row of bfloat16 values, already
// rotated: `heads` queries, then `kv_heads` keys, then `kv_heads` values, each `head_dim` long.
// Products take bfloat16, scores and softmax are float32. The backward pass computes the
// probabilities again from the stored logarithms of the softmax sums.
#pragma once

#include "buffer.h"
#include "matrix.h"

namespace starter {

struct HeadShape {
  size_t heads, kv_heads, head_dim;

  size_t query_size() const { return heads * head_dim; }
  size_t key_size() const { return kv_heads * head_dim; }
  size_t row_size() const { return query_size() + 2 * key_size(); }
};

// Owns the scratch of one thread. Thread: one at a time.
class Attention {
 public:
  // length_max: tokens of the longest row, a multiple of 32.
  Attention(const HeadShape& shape, size_t length_max);

  // mixed: (length, query_size) with row_step(query_size); log_sums: (heads, length).
  void forward(const Bf16* qkv, size_t length, Bf16* mixed, float* log_sums);

  // d_mixed: gradient of mixed, laid out as it. d_qkv: (length, row_size), rows of
  // row_size + 16 values; overwritten with the gradient of the rotated queries, keys and values.
  void backward(const Bf16* qkv,
                const Bf16* mixed,
                const float* log_sums,
                const Bf16* d_mixed,
                size_t length,
                float* d_qkv);

 private:
  void forward_block(const Bf16* qkv,
                     size_t head,
                     size_t from,
                     size_t rows,
                     size_t length,
                     Bf16* mixed,
                     float* log_sums);
  void backward_block(const Bf16* qkv,
                      const Bf16* mixed,
                      const float* log_sums,
                      const Bf16* d_mixed,
                      size_t head,
                      size_t from,
                      size_t rows,
                      size_t length,
                      float* d_qkv);
  void score_gradients(
      const float* log_sums, const float* deltas, size_t rows, int ahead, size_t keys);

  HeadShape shape_;
  float scale_;
  Buffer<float> scores_, d_probabilities_, block_;
  Buffer<Bf16> key_columns_, key_rows_, value_columns_, value_rows_;  // right operands of one head
  Buffer<Bf16> probabilities_;                                        // rows, or their gradient
  Buffer<Bf16> probability_tiles_, d_score_tiles_;                    // transposed: (keys, rows)
  Buffer<Bf16> query_panels_, d_mixed_panels_;
};

}  // namespace starter
