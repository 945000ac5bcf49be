// A forward pass as a list of operations over f32 activation values: what an architecture builds
// once and the executor runs at every step. Holds no memory for activations (memory_planner.h says
// where each value lives) and knows no kernels (matrices.h says how they read the weights). Adding
// an operation means a struct here, a builder method and an executor case.
// Thread: any once built. Ownership: weights are borrowed views, they must outlive the program.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "tensor/tensor_view.h"

namespace inferneo::graph {

// How many rows a value has: one for each token of the step, one for each row of logits or of
// hidden states that the step wants (logits first), or one for each row of logits.
enum class Rows : std::uint8_t { kTokens, kOutputs, kLogits };

using ValueId = std::int32_t;
using ConstantId = std::int32_t;
using MatrixId = std::int32_t;
inline constexpr std::int32_t kNone = -1;

// Shape: [rows][width], f32.
struct Value {
  Rows rows = Rows::kTokens;
  std::int64_t width = 0;
  // Operations that first write and last touch it.
  std::int32_t first_op = 0;
  std::int32_t last_op = 0;
};

// out (+)= in * matrix^T (+ bias). Shape: matrix [out width][in width].
struct LinearPart {
  MatrixId matrix = kNone;
  ConstantId bias = kNone;
  ValueId out = kNone;
  bool accumulate = false;
};

// out[row] = table[token id of row]
struct EmbedOp {
  tensor::TensorView table;  // Shape: [vocab][width]; read by row where it lies
  ValueId out = kNone;
};
struct RmsNormOp {
  ValueId in = kNone;
  ConstantId weight = kNone;
  float eps = 0;
  ValueId out = kNone;
};
// Linears of one input, run as one parallel section.
struct LinearOp {
  ValueId in = kNone;
  std::vector<LinearPart> parts;
};
// out = silu(gate(in)) * up(in). What the two linears give is no value of its own.
struct GatedLinearOp {
  ValueId in = kNone;
  LinearPart gate;
  LinearPart up;
  ValueId out = kNone;
};
// Rotates q and k in place by the position of each row and stores k and v in the layer's cache.
struct StoreKvOp {
  std::int32_t layer = 0;
  ValueId q = kNone;
  ValueId k = kNone;
  ValueId v = kNone;
};
// Causal attention of q over the layer's cache.
struct AttentionOp {
  std::int32_t layer = 0;
  ValueId q = kNone;
  ValueId out = kNone;
  float scale = 0;
};
// out[i] = in[row i of the outputs]
struct GatherRowsOp {
  ValueId in = kNone;
  ValueId out = kNone;
};
using Op =
    std::variant<EmbedOp, RmsNormOp, LinearOp, GatedLinearOp, StoreKvOp, AttentionOp, GatherRowsOp>;

// Rotary position embedding: angle of pair i at position p is p * inverse_frequencies[i]; cosine
// and sine are multiplied by `scale`.
struct Rope {
  std::vector<float> inverse_frequencies;  // Shape: [rotary_dim / 2]
  float scale = 1;
  // Pairs are elements (2i, 2i + 1) of a head, not (i, i + rotary_dim / 2).
  bool adjacent = false;
};

struct AttentionShape {
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
};

// How precisely a program computes; sums are always f32.
struct Arithmetic {
  // Linears may read packed matrices, whose kernels round activations (to 16 bits or to pairs of
  // bf16 beside 16-bit weights, to 8-bit groups beside quantised ones). Otherwise all is f32.
  bool packed = false;
  tensor::DType kv = tensor::DType::kF32;  // of keys and values, see is_kv_type
};

struct Program {
  std::vector<Op> ops;
  std::vector<Value> values;
  std::vector<tensor::TensorView> matrices;  // of the linears, as they are in the file
  // Small vectors that the kernels read as f32 (norm weights, biases), as they are in the file.
  std::vector<tensor::TensorView> constants;
  AttentionShape attention;
  Rope rope;
  Arithmetic arithmetic;
  ValueId logits = kNone;  // kNone: the program of an encoder
  // What hidden states are read from: the input of the linear that makes the logits, or the end of
  // an encoder. Rows: kOutputs.
  ValueId hidden = kNone;
};

// Bytes of keys and values of one block of limits::kKvBlockSizeTokens tokens, all layers.
std::uint64_t kv_block_size(const Program& program);

// Builds a Program and checks shapes and types on the way. The first failure is kept and returned
// by finish(), so that an architecture reads as the list of its operations.
// Thread: the owner's.
class ProgramBuilder {
 public:
  ProgramBuilder(const AttentionShape& attention, Rope rope, const Arithmetic& arithmetic);

  ValueId embed(const tensor::TensorView& table);
  ValueId rms_norm(ValueId in, const tensor::TensorView& weight, float eps);
  struct Weight {
    tensor::TensorView matrix;
    const tensor::TensorView* bias = nullptr;  // Shape: [rows of matrix], or null
  };
  // One value for each weight.
  std::vector<ValueId> linear(ValueId in, std::initializer_list<Weight> weights);
  // sum += linear(in)
  void linear_add(ValueId sum, ValueId in, const Weight& weight);
  // silu(gate(in)) * up(in)
  ValueId gated_linear(ValueId in, const Weight& gate, const Weight& up);
  // Rotates q and k, stores k and v, attends.
  ValueId attention(std::int32_t layer, ValueId q, ValueId k, ValueId v);
  // Of the tokens whose logits or hidden states are wanted.
  ValueId gather_logit_rows(ValueId in);

  // Failures: internal naming the operation whose shapes do not fit.
  Result<Program> finish(ValueId logits) &&;
  // The same for a program without logits, which ends in hidden states (or scores of classes).
  Result<Program> finish_hidden(ValueId hidden) &&;

 private:
  ValueId add_value(Rows rows, std::int64_t width);
  ConstantId add_constant(const tensor::TensorView& view, std::int64_t width);
  LinearPart add_matrix(ValueId in, const Weight& weight);
  LinearPart add_part(ValueId in, const Weight& weight, ValueId out);
  void add_op(Op op);
  void expect(bool condition, std::string_view what);
  void mark_outputs();
  void keep_to_end(ValueId id);
  [[nodiscard]] const Value& value(ValueId id) const;

  Program program_;
  Status status_;
};

}  // namespace inferneo::graph
