// The operations of a program: plain values. What they mean is said here; program.h builds them,
// the executor and its runners carry them out.
// Thread: any. Ownership: tensor views are borrowed.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "kernels/kernel_table.h"
#include "tensor/tensor_view.h"

namespace inferneo::graph {

using ValueId = std::int32_t;
using ConstantId = std::int32_t;
using MatrixId = std::int32_t;
inline constexpr std::int32_t kNone = -1;

using kernels::Activation;
using kernels::kUnlimitedReach;

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
// sum[row] += table[position of row + offset], or table[segment of row]; the last row of the table
// stands for what is beyond it.
struct PositionOp {
  tensor::TensorView table;  // Shape: [positions][width]
  std::int64_t offset = 0;
  bool by_segment = false;
  ValueId sum = kNone;
};

enum class NormKind : std::uint8_t { kRms, kLayer };
// A norm of each stretch of `width` elements.
struct Norm {
  NormKind kind = NormKind::kRms;
  ConstantId weight = kNone;  // Shape: [width], or [stretches][width]; layer norms may have none
  ConstantId bias = kNone;    // of layer norms; the same shape
  bool is_shared = true;      // stretches have the same weight and bias
  float eps = 0;
  std::int64_t width = 0;
};
struct NormOp {
  ValueId in = kNone;
  Norm norm;
  ValueId out = kNone;
};
// Linears of one input, run as one parallel section.
struct LinearOp {
  ValueId in = kNone;
  std::vector<LinearPart> parts;
};
// out = activation(gate(in)) * up(in). What the two linears give is no value of its own.
struct GatedLinearOp {
  ValueId in = kNone;
  LinearPart gate;
  LinearPart up;
  ValueId out = kNone;
  Activation activation = Activation::kSilu;
};
// For each head a linear of its own: columns [in_begin + head * in_stride, ..) of a row to columns
// [out_begin + head * out_stride, ..).
struct HeadLinearOp {
  ValueId in = kNone;
  std::int64_t in_begin = 0;
  std::int64_t in_stride = 0;
  std::vector<LinearPart> heads;
  ValueId out = kNone;
  std::int64_t out_begin = 0;
  std::int64_t out_stride = 0;
};
// Copies `count` pieces of `piece` columns.
struct CopyColumnsOp {
  ValueId in = kNone;
  std::int64_t in_begin = 0;
  std::int64_t in_stride = 0;
  ValueId out = kNone;
  std::int64_t out_begin = 0;
  std::int64_t out_stride = 0;
  std::int64_t piece = 0;
  std::int64_t count = 0;
};
// value = activation(value) * factor; the factor may be none.
struct ActivateOp {
  ValueId value = kNone;
  ValueId factor = kNone;
  Activation activation = Activation::kSilu;
};
// sum += factor * in
struct AddOp {
  ValueId sum = kNone;
  ValueId in = kNone;
  float factor = 1;
};
// value *= factor
struct ScaleOp {
  ValueId value = kNone;
  float factor = 1;
};
// Brings elements below -bound or above bound there.
struct ClampOp {
  ValueId value = kNone;
  float bound = 0;
};
// value = cap * tanh(value / cap)
struct SoftCapOp {
  ValueId value = kNone;
  float cap = 0;
};
// Each row of value *= 1 / (1 + exp(-gate)). Shape: gate [rows][1]
struct GateRowsOp {
  ValueId value = kNone;
  ValueId gate = kNone;
};
// Norms heads of q and k, rotates both in place by the position of each row, and stores k and v in
// the layer's cache.
struct StoreKvOp {
  std::int32_t layer = 0;
  ValueId q = kNone;
  ValueId k = kNone;
  ValueId v = kNone;      // kNone: the keys are the values
  std::int32_t rope = 0;  // index in Program::ropes, kNone for no rotation
  Norm q_norm;            // of width 0: none
  Norm k_norm;
};
// Attention of q over the layer's cache. AttentionArgs says what the parameters mean.
struct AttentionOp {
  std::int32_t layer = 0;
  ValueId q = kNone;
  ValueId out = kNone;
  float scale = 0;
  std::int32_t reach_before = kUnlimitedReach;
  std::int32_t reach_after = 0;
  float soft_cap = 0;
  std::vector<float> slopes;  // Shape: [heads] or empty
  ConstantId sinks = kNone;   // Shape: [heads]
};
// out[i] = in[row i of the outputs]
struct GatherRowsOp {
  ValueId in = kNone;
  ValueId out = kNone;
};
// out[i] = mean of the rows that the step has of the sequence of row i of the outputs
struct MeanRowsOp {
  ValueId in = kNone;
  ValueId out = kNone;
};

inline constexpr std::int64_t kExpertGroupCountMax = 64;

// How a router chooses experts.
struct Routing {
  enum class Scoring : std::uint8_t {
    kSoftmax,          // of all experts
    kSoftmaxOfChosen,  // of those that are chosen by their logits
    kSigmoid,          // 1 / (1 + exp(-logit))
  };
  Scoring scoring = Scoring::kSoftmax;
  std::int64_t chosen_count = 0;
  bool renormalizes = false;  // weights of the chosen are divided by their sum
  float scale = 1;            // of the weights
  // Experts stand in groups, of which only the best count. A group is as good as the sum of its
  // two best experts, or as its best one.
  std::int64_t group_count = 1;  // at most kExpertGroupCountMax
  std::int64_t chosen_group_count = 1;
  bool sums_two_best = false;
  ConstantId correction = kNone;  // added to scores for the choice alone. Shape: [experts]
};
// Chooses experts for each row. Shape: out [rows][2 * chosen_count], numbers of the experts, then
// their weights.
struct RouteOp {
  ValueId logits = kNone;
  Routing routing;
  ValueId out = kNone;
};
struct Expert {
  LinearPart gate;
  LinearPart up;
  LinearPart down;
};
// out[row] = sum of weight * down(activation(gate(in)) * up(in)) over the experts of the row.
struct ExpertsOp {
  ValueId in = kNone;
  ValueId routes = kNone;
  std::vector<Expert> experts;
  Activation activation = Activation::kSilu;
  // Where set: gates are at most this, ups within plus or minus this, and 1 is added to ups.
  float clamp = 0;
  // Rows of experts after each other. Shape: [rows][chosen * ffn] and [rows][chosen * out width],
  // read as [rows * chosen][..]
  ValueId hidden = kNone;
  ValueId products = kNone;
  ValueId out = kNone;
};

using Op = std::variant<EmbedOp,
                        PositionOp,
                        NormOp,
                        LinearOp,
                        GatedLinearOp,
                        HeadLinearOp,
                        CopyColumnsOp,
                        ActivateOp,
                        AddOp,
                        ScaleOp,
                        ClampOp,
                        SoftCapOp,
                        GateRowsOp,
                        StoreKvOp,
                        AttentionOp,
                        GatherRowsOp,
                        MeanRowsOp,
                        RouteOp,
                        ExpertsOp>;

}  // namespace inferneo::graph
