// One thread's share of a step: its rows through the network, forward and backward.
//
// The residual stream is float32; every product takes bfloat16 and sums in float32. A layer keeps
// its two residual inputs, the rotated queries, keys and values, the attention's result and the
// gate and up products; norms, activations and probabilities are computed again.
// No memory is taken after construction.
#pragma once

#include "network.h"

namespace starter {

// What a step reports. Sums over tokens; `weighted` is divided by the sum of all weights.
struct LossSums {
  double weighted = 0;  // loss times weight
  double written = 0;   // loss of tokens of weight 1
  int64_t written_count = 0;
};

class Lane {
 public:
  // The network outlives the lane. A lane that only runs forward has no room for gradients.
  Lane(const Network& network, size_t tokens_max, size_t length_max, bool backward);

  // ids: count tokens in rows of `length`; count <= tokens_max, length a multiple of 32.
  void forward(const int32_t* ids, size_t count, size_t length);

  // After forward(). Adds up losses, and gradients times `share` * weight. The targets are token
  // ids, or, with a teacher that has run forward over the same ids, its probabilities.
  // `accumulate`: add to the gradient of an earlier call, else start anew.
  LossSums backward(const int32_t* ids,
                    const int32_t* targets,
                    const float* weights,
                    float share,
                    const Lane* teacher,
                    bool accumulate);

  // Logits of token `index` of the last forward(): vocab values.
  void logits(size_t index, float* out);

  const float* gradient() const { return gradient_.data(); }
  float* gradient() { return gradient_.data(); }

 private:
  struct Saved {
    Buffer<float> input, middle;  // (tokens, hidden): residual stream before each half
    Buffer<Bf16> qkv, mixed;
    Buffer<Bf16> gate_up;  // strip after strip of a block; in a strip, each row's gate, then its up
    Buffer<float> log_sums;
  };

  void attention_inputs(size_t layer, size_t from, size_t rows);
  void feed_forward(size_t layer, size_t from, size_t rows, float* next);

  LossSums output(const int32_t* targets,
                  const float* weights,
                  float share,
                  const Lane* teacher,
                  bool accumulate);
  // `line`: where the block's rows begin in its group.
  LossSums output_block(const int32_t* targets,
                        const float* weights,
                        float share,
                        const Lane* teacher,
                        size_t from,
                        size_t rows,
                        size_t line);
  void feed_forward_gradient(size_t layer, size_t from, size_t rows, bool accumulate);
  void out_gradient(size_t layer, size_t from, size_t rows, bool accumulate);
  // Rows [at, at + rows) of the row of tokens that begins at token `row`; its d_qkv_ is there.
  void qkv_gradient(size_t layer, size_t row, size_t at, size_t rows, bool accumulate);
  void inner_gradients(const Bf16* gate, size_t at, size_t width, size_t rows);
  // Writes the result of a norm over `rows` of stream as norm_panels_.
  void norm_operand(const float* stream, size_t norm, size_t rows);
  // For a matrix that follows a norm: adds the gradient of the norm's input and weight, given that
  // of the matrix's result in d_rows_.
  void input_gradient(
      const Operand& operand, const float* stream, size_t norm, size_t from, size_t rows);
  // Writes d_stream_ rows as bfloat16 rows and as tiles of the transpose.
  void stream_operands(size_t from, size_t rows);
  // Adds the gradient of a norm, given that of its result in block_, to d_stream_ and its weight's.
  void norm_gradient(const float* stream, size_t norm, size_t from, size_t rows);

  const Network& network_;
  const Shape& shape_;
  size_t count_ = 0, length_ = 0;
  std::vector<Saved> saved_;
  Attention attention_;
  Buffer<float> stream_;        // (tokens, hidden): after the last layer
  Buffer<Bf16> final_rows_;     // (tokens, hidden): after the last norm
  Buffer<Bf16> rows_;           // left operand of a block
  Buffer<Bf16> inner_rows_;     // (block, inner): silu(gate) * up
  Buffer<float> block_, wide_;  // float32 results of a block
  Buffer<float> logits_, teacher_logits_;

  Buffer<float> gradient_, d_stream_, d_qkv_;
  Buffer<Bf16> d_mixed_;
  Buffer<Bf16> d_rows_, d_tiles_;  // gradient of a product's result: rows, transposed tiles
  Buffer<Bf16> stream_rows_, stream_tiles_;
  Buffer<Bf16> norm_panels_, inner_panels_;
  Buffer<Bf16> d_logit_rows_, d_logit_tiles_, final_panels_;
  Buffer<float> pair_;  // two rows of work
};

}  // namespace starter
