// A forward pass as a list of operations over f32 activation values: what an architecture builds
// once and the executor runs at every step. Holds no memory for activations (memory_planner.h says
// where each value lives) and knows no kernels (matrices.h says how they read the weights). Adding
// an operation means a struct in ops.h, a builder method and an executor case.
// Thread: any once built. Ownership: weights are borrowed views, they must outlive the program.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/ops.h"
#include "tensor/tensor_view.h"

namespace inferneo::graph {

// How many rows a value has: one for each token of the step, one for each row of logits or of
// hidden states that the step wants (logits first), or one for each row of logits.
enum class Rows : std::uint8_t { kTokens, kOutputs, kLogits };

// Shape: [rows][width], f32.
struct Value {
  Rows rows = Rows::kTokens;
  std::int64_t width = 0;
  // Operations that first write and last touch it.
  std::int32_t first_op = 0;
  std::int32_t last_op = 0;
};

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
  // Values are the keys themselves: the cache holds one plane a layer.
  bool is_latent = false;
  // Rows see keys after their own, so that a sequence is computed in one step.
  bool is_bidirectional = false;
};

// What attention of one layer has besides.
struct AttentionStyle {
  std::int32_t rope = 0;  // index of the builder's ropes, kNone for no rotation
  float scale = 0;        // 0 for 1 / sqrt(head_dim)
  std::int32_t reach_before = kUnlimitedReach;
  std::int32_t reach_after = 0;
  float soft_cap = 0;
  std::vector<float> slopes;                  // Shape: [heads] or empty
  const tensor::TensorView* sinks = nullptr;  // Shape: [heads]
  Norm q_norm;                                // of heads, see ProgramBuilder::norm_of
  Norm k_norm;
};

// How precisely a program computes; sums are always f32.
struct Arithmetic {
  // Linears may read packed matrices, whose kernels round activations (to f16 or to pairs of halves
  // beside 16-bit weights, to 8-bit groups beside quantised ones). Otherwise all is f32.
  bool packed = false;
  tensor::DType kv = tensor::DType::kF32;  // of keys and values, see is_kv_type
  // Attention over f16 may round queries and weights to f16 as well.
  bool rounds_attention = false;
  // Beside packed bf16 matrices activations may be rounded to bf16, but for the last ones: those
  // that logits and the choice of experts come from.
  bool rounds_inputs = false;
};

// A matrix as it lies in a file. Shape of the view: [rows][columns], data at the first element.
struct MatrixSource {
  tensor::TensorView view;
  // Elements from one row, and one column, to the next; 0 where the rows follow each other as the
  // view says. Quantised matrices have whole rows: a column stride of 1.
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;

  [[nodiscard]] bool is_plain() const { return row_stride == 0; }
  // From the first to the last element.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  // The same of scales that lie apart; empty where there are none.
  [[nodiscard]] std::span<const std::byte> scale_bytes() const;
};

// A small vector that kernels read as f32 (norm weights, biases): the parts one after the other,
// plus `offset`.
struct ConstantSource {
  std::vector<tensor::TensorView> parts;
  float offset = 0;
  std::int64_t stride = 1;  // elements of a part from one to the next
  [[nodiscard]] std::int64_t element_count() const;
};

struct Program {
  std::vector<Op> ops;
  std::vector<Value> values;
  std::vector<MatrixSource> matrices;  // of the linears
  std::vector<ConstantSource> constants;
  AttentionShape attention;
  std::vector<Rope> ropes;
  Arithmetic arithmetic;
  ValueId logits = kNone;  // kNone: the program of an encoder
  // What hidden states are read from: the input of the linear that makes the logits, or the end of
  // an encoder. Rows: kOutputs.
  ValueId hidden = kNone;
};

// Which layers see a window of keys alone: their blocks are of a pool of their own, of which a
// sequence needs those of its last tokens. A program whose sequences are computed in one step has
// none, for it keeps nothing.
struct KvWindows {
  std::vector<bool> layers;  // Shape: [layers]
  std::int32_t reach = 0;    // keys that a token sees before its own, where most are seen
  [[nodiscard]] std::int64_t layer_count() const;
};
KvWindows kv_windows(const Program& program);

// Bytes of keys and values of one block of limits::kKvBlockSizeTokens tokens in one layer.
std::uint64_t kv_layer_block_size(const Program& program);

// Builds a Program and checks shapes and types on the way. The first failure is kept and returned
// by finish(), so that an architecture reads as the list of its operations.
// Thread: the owner's.
class ProgramBuilder {
 public:
  ProgramBuilder(const AttentionShape& attention, Rope rope, const Arithmetic& arithmetic);
  ProgramBuilder(const AttentionShape& attention,
                 std::vector<Rope> ropes,
                 const Arithmetic& arithmetic);

  ValueId embed(const tensor::TensorView& table);
  // sum += row of the table at the position plus offset.
  void add_positions(ValueId sum, const tensor::TensorView& table, std::int64_t offset);
  // sum += row of the table of the token's segment, 0 or 1.
  void add_segments(ValueId sum, const tensor::TensorView& table);

  // Vectors of a norm over stretches of `width` elements: of one stretch, or of all.
  struct NormWeights {
    NormKind kind = NormKind::kRms;
    float eps = 0;
    std::vector<tensor::TensorView> weight;  // parts one after the other; none: 1
    const tensor::TensorView* bias = nullptr;
    float weight_offset = 0;  // added to weights
  };
  Norm norm_of(const NormWeights& weights, std::int64_t width, std::int64_t stretches = 1);
  ValueId norm(ValueId in, const Norm& norm);
  ValueId rms_norm(ValueId in, const tensor::TensorView& weight, float eps);

  struct Weight {
    Weight() = default;
    Weight(const tensor::TensorView& view, const tensor::TensorView* vector = nullptr)
        : matrix{view}, bias(vector) {}
    Weight(const MatrixSource& source, const std::optional<tensor::TensorView>& vector)
        : matrix(source), bias_slice(vector) {}
    MatrixSource matrix;
    const tensor::TensorView* bias = nullptr;  // Shape: [rows of matrix], or null
    std::optional<tensor::TensorView> bias_slice;
    std::int64_t bias_stride = 1;  // elements from one of the slice to the next
  };
  // One value for each weight.
  std::vector<ValueId> linear(ValueId in, std::span<const Weight> weights);
  std::vector<ValueId> linear(ValueId in, std::initializer_list<Weight> weights) {
    return linear(in, std::span(weights.begin(), weights.size()));
  }
  // sum += linear(in)
  void linear_add(ValueId sum, ValueId in, const Weight& weight);
  // activation(gate(in)) * up(in)
  ValueId gated_linear(ValueId in,
                       const Weight& gate,
                       const Weight& up,
                       Activation activation = Activation::kSilu);
  // What CopyColumnsOp and HeadLinearOp take: `count` pieces of `width` columns.
  struct Columns {
    ValueId value = kNone;
    std::int64_t begin = 0;
    std::int64_t stride = 0;
    std::int64_t width = 0;
  };
  ValueId make_value(ValueId like, std::int64_t width);
  void head_linear(const Columns& in, std::span<const Weight> heads, const Columns& out);
  void copy_columns(const Columns& in, const Columns& out, std::int64_t count);

  void activate(ValueId value, Activation activation, ValueId factor = kNone);
  void add(ValueId sum, ValueId in, float factor = 1);
  void scale(ValueId value, float factor);
  void clamp(ValueId value, float bound);
  void soft_cap(ValueId value, float cap);
  void gate_rows(ValueId value, ValueId gate);

  // Rotates q and k, stores k and v, attends. v is kNone where the cache is latent.
  ValueId attention(
      std::int32_t layer, ValueId q, ValueId k, ValueId v, const AttentionStyle& style = {});
  ValueId gather_logit_rows(ValueId in);
  // For each row of the outputs the mean over its sequence, which a bidirectional model has whole
  // in a step.
  ValueId mean_rows(ValueId in);

  // `correction` may be null. Shape: [experts]
  ValueId route(ValueId logits, Routing routing, const tensor::TensorView* correction);
  struct ExpertWeights {
    Weight gate;
    Weight up;
    Weight down;
  };
  ValueId experts(ValueId in,
                  ValueId routes,
                  std::span<const ExpertWeights> experts,
                  Activation activation,
                  float clamp = 0);

  // Failures: internal naming the operation whose shapes do not fit.
  Result<Program> finish(ValueId logits) &&;
  // The same for a program without logits, which ends in hidden states (or scores of classes).
  Result<Program> finish_hidden(ValueId hidden) &&;

 private:
  ValueId add_value(Rows rows, std::int64_t width);
  ConstantId add_constant(const tensor::TensorView& view, std::int64_t width);
  ConstantId add_constant(std::vector<tensor::TensorView> parts, float offset, std::int64_t width);
  LinearPart add_matrix(std::int64_t in_width, const Weight& weight);
  LinearPart add_part(ValueId in, const Weight& weight, ValueId out);
  void add_op(Op op);
  void expect_columns(const Columns& columns, std::int64_t count);
  void expect(bool condition, std::string_view what);
  void mark_outputs();
  void keep_to_end(ValueId id);
  [[nodiscard]] const Value& value(ValueId id) const;

  Program program_;
  Status status_;
};

}  // namespace inferneo::graph
