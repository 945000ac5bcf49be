// The shape of a Llama model, its place in one flat array, and its matrices as operands.
//
// The flat array holds the parameters in the order of the torch module (`named_parameters`):
// embedding, then for each layer norm, q, k, v, o, norm, gate, up, down, then the last norm. So
// q, k and v are one matrix (row_size, hidden) and gate and up one matrix (2 * inner, hidden).
#pragma once

#include <vector>

#include "attention.h"

namespace starter {

struct Shape {
  size_t vocab, hidden, inner, layers;
  HeadShape head;
  float rope_theta, norm_eps;
};

// Where a layer's parameters begin in the flat array.
struct LayerPlace {
  size_t norm1, qkv, out, norm2, gate_up, down;
};

// A matrix that Muon updates on its own: a part of the rows of an operand.
struct MatrixPlace {
  size_t offset, rows, columns;
  size_t operand, first_row;  // index in Network::operands, and where its rows begin there
};

// One weight matrix (rows, columns) as right operand of the forward product x * W^T and of the
// backward product dy * W.
class Operand {
 public:
  Operand(size_t rows, size_t columns)
      : rows_(rows),
        columns_(columns),
        forward_(rows / 16 * panel_step(columns)),
        backward_(columns / 16 * panel_step(rows)) {}

  // Takes rows [first, first + count) from `values`; first and count: multiples of 32.
  // `scratch`: row_step(columns) * 32 values.
  void pack(const float* values, size_t first, size_t count, Bf16* scratch);

  Right forward() const { return {forward_.data(), panel_step(columns_)}; }
  Right backward() const { return {backward_.data(), panel_step(rows_)}; }
  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }

 private:
  size_t rows_, columns_;
  Buffer<Bf16> forward_, backward_;
};

// Parameters (borrowed, owned by the caller) and their operands. Thread: packing different
// matrices at the same time is allowed; readers wait until it is done.
class Network {
 public:
  // weights: parameter_count(shape) values that outlive the network.
  Network(const Shape& shape, size_t length_max, float* weights);

  static size_t parameter_count(const Shape& shape);
  // Null where the step can compute this shape, else what is wrong with it.
  static const char* refusal(const Shape& shape);

  const Shape& shape() const { return shape_; }
  float* weights() const { return weights_; }
  const LayerPlace& layer(size_t index) const { return layers_[index]; }
  size_t last_norm() const { return last_norm_; }
  // The embedding is matrix 0; it is no Muon matrix.
  const std::vector<MatrixPlace>& matrices() const { return matrices_; }
  size_t scratch_size() const;
  void pack(const MatrixPlace& place, Bf16* scratch);

  const Operand& embedding() const { return operands_[0]; }
  const Operand& qkv(size_t layer) const { return operands_[1 + 4 * layer]; }
  const Operand& out(size_t layer) const { return operands_[2 + 4 * layer]; }
  const Operand& gate_up(size_t layer) const { return operands_[3 + 4 * layer]; }
  const Operand& down(size_t layer) const { return operands_[4 + 4 * layer]; }

  // Rotates the queries and keys of a float32 row at a position; direction -1 turns back.
  void rotate(float* row, size_t position, float direction) const;

 private:
  Shape shape_;
  float* weights_;
  std::vector<LayerPlace> layers_;
  std::vector<MatrixPlace> matrices_;
  std::vector<Operand> operands_;
  size_t last_norm_ = 0;
  Buffer<float> cos_, sin_;  // (length_max, head_dim / 2)
};

}  // namespace starter
