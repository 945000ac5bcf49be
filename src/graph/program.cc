#include "graph/program.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/str.h"
#include "graph/kv_cache.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::graph {
namespace {

using tensor::DType;
using tensor::TensorView;

bool is_vector_type(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16;
}

// Rows of elements that a linear or an embedding can read.
bool is_matrix(const TensorView& view) {
  const bool known = is_vector_type(view.dtype) || tensor::find_quant_format(view.dtype) != nullptr;
  return known && view.shape.rank() == 2 &&
         view.shape[1] % tensor::dtype_block_elements(view.dtype) == 0;
}

// Of a matrix whose scales may lie apart, what its rows hold.
TensorView with_blocks(TensorView view) {
  view.dtype = tensor::dtype_of_blocks(view.dtype);
  return view;
}

template <typename F>
struct ValueVisitor {
  F& f;
  void operator()(const EmbedOp& op) { f(op.out); }
  void operator()(const PositionOp& op) { f(op.sum); }
  void operator()(const NormOp& op) { f(op.in), f(op.out); }
  void operator()(const LinearOp& op) {
    f(op.in);
    for (const LinearPart& part : op.parts) f(part.out);
  }
  void operator()(const GatedLinearOp& op) { f(op.in), f(op.out); }
  void operator()(const HeadLinearOp& op) { f(op.in), f(op.out); }
  void operator()(const CopyColumnsOp& op) { f(op.in), f(op.out); }
  void operator()(const ActivateOp& op) { f(op.value), f(op.factor); }
  void operator()(const AddOp& op) { f(op.sum), f(op.in); }
  void operator()(const ScaleOp& op) { f(op.value); }
  void operator()(const ClampOp& op) { f(op.value); }
  void operator()(const SoftCapOp& op) { f(op.value); }
  void operator()(const GateRowsOp& op) { f(op.value), f(op.gate); }
  void operator()(const StoreKvOp& op) { f(op.q), f(op.k), f(op.v); }
  void operator()(const AttentionOp& op) { f(op.q), f(op.out); }
  void operator()(const GatherRowsOp& op) { f(op.in), f(op.out); }
  void operator()(const MeanRowsOp& op) { f(op.in), f(op.out); }
  void operator()(const RouteOp& op) { f(op.logits), f(op.out); }
  void operator()(const ExpertsOp& op) {
    for (const ValueId id : {op.in, op.routes, op.hidden, op.products, op.out}) f(id);
  }
};

// Calls f for every value of an operation; kNone stays out.
template <typename F>
void for_each_value(const Op& op, const F& f) {
  const auto known = [&](ValueId id) {
    if (id != kNone) f(id);
  };
  std::visit(ValueVisitor<decltype(known)>{known}, op);
}

}  // namespace

std::span<const std::byte> MatrixSource::bytes() const {
  if (is_plain()) return {view.data, view.byte_size()};
  const std::int64_t blocks =
      ((view.shape[0] - 1) * row_stride + (view.shape[1] - 1) * column_stride) /
          tensor::dtype_block_elements(view.dtype) +
      1;
  return {view.data, static_cast<std::size_t>(blocks) * tensor::dtype_block_size(view.dtype)};
}

std::span<const std::byte> MatrixSource::scale_bytes() const {
  if (view.scales == nullptr) return {};
  return {view.scales, bytes().size() / tensor::dtype_block_size(view.dtype)};
}

std::int64_t ConstantSource::element_count() const {
  std::int64_t count = 0;
  for (const TensorView& part : parts) count += part.shape.element_count();
  return count;
}

ProgramBuilder::ProgramBuilder(const AttentionShape& attention,
                               Rope rope,
                               const Arithmetic& arithmetic)
    : ProgramBuilder(attention, std::vector<Rope>{std::move(rope)}, arithmetic) {}

ProgramBuilder::ProgramBuilder(const AttentionShape& attention,
                               std::vector<Rope> ropes,
                               const Arithmetic& arithmetic) {
  program_.attention = attention;
  program_.ropes = std::move(ropes);
  program_.arithmetic = arithmetic;
  for (const Rope& rope : program_.ropes) {
    const auto rotary = static_cast<std::int64_t>(rope.inverse_frequencies.size()) * 2;
    expect(rotary > 0 && rotary <= attention.head_dim, "rotary width");
  }
  expect(attention.kv_heads > 0 && attention.heads % attention.kv_heads == 0, "head counts");
  expect(is_kv_type(arithmetic.kv), "cache type");
}

void ProgramBuilder::expect(bool condition, std::string_view what) {
  if (condition || !status_.ok()) return;
  status_ = internal_error(str("operation ", program_.ops.size(), ": wrong ", what));
}

const Value& ProgramBuilder::value(ValueId id) const {
  CHECK(id >= 0 && static_cast<std::size_t>(id) < program_.values.size());
  return program_.values[static_cast<std::size_t>(id)];
}

ValueId ProgramBuilder::add_value(Rows rows, std::int64_t width) {
  program_.values.push_back({rows, width, kNone, kNone});
  return static_cast<ValueId>(program_.values.size()) - 1;
}

ConstantId ProgramBuilder::add_constant(const TensorView& view, std::int64_t width) {
  return add_constant(std::vector<TensorView>{view}, 0, width);
}

ConstantId ProgramBuilder::add_constant(std::vector<TensorView> parts,
                                        float offset,
                                        std::int64_t width) {
  for (const TensorView& part : parts) expect(is_vector_type(part.dtype), "type of a vector");
  program_.constants.push_back({std::move(parts), offset, 1});
  expect(program_.constants.back().element_count() == width, "size of a vector");
  return static_cast<ConstantId>(program_.constants.size()) - 1;
}

void ProgramBuilder::add_op(Op op) {
  const auto index = static_cast<std::int32_t>(program_.ops.size());
  for_each_value(op, [&](ValueId id) {
    Value& touched = program_.values[static_cast<std::size_t>(id)];
    if (touched.first_op == kNone) touched.first_op = index;
    touched.last_op = index;
  });
  program_.ops.push_back(std::move(op));
}

ValueId ProgramBuilder::embed(const TensorView& table) {
  expect(is_matrix(table), "embedding table");
  const ValueId out = add_value(Rows::kTokens, table.shape[1]);
  add_op(EmbedOp{table, out});
  return out;
}

void ProgramBuilder::add_positions(ValueId sum, const TensorView& table, std::int64_t offset) {
  expect(is_matrix(table) && table.shape[1] == value(sum).width, "position table");
  expect(offset >= 0 && offset < table.shape[0], "position offset");
  add_op(PositionOp{table, offset, false, sum});
}

void ProgramBuilder::add_segments(ValueId sum, const TensorView& table) {
  expect(is_matrix(table) && table.shape[1] == value(sum).width, "segment table");
  add_op(PositionOp{table, 0, true, sum});
}

Norm ProgramBuilder::norm_of(const NormWeights& weights,
                             std::int64_t width,
                             std::int64_t stretches) {
  Norm norm{weights.kind, kNone, kNone, true, weights.eps, width};
  std::int64_t count = 0;
  for (const TensorView& part : weights.weight) count += part.shape.element_count();
  norm.is_shared = count == width || count == 0;
  const std::int64_t wanted = norm.is_shared ? width : width * stretches;
  expect(count > 0 || weights.kind == NormKind::kLayer, "norm without weights");
  if (count > 0) norm.weight = add_constant(weights.weight, weights.weight_offset, wanted);
  if (weights.bias != nullptr) norm.bias = add_constant(*weights.bias, wanted);
  return norm;
}

ValueId ProgramBuilder::norm(ValueId in, const Norm& norm) {
  const Value source = value(in);
  expect(norm.width > 0 && source.width % norm.width == 0, "norm width");
  const ValueId out = add_value(source.rows, source.width);
  add_op(NormOp{in, norm, out});
  return out;
}

ValueId ProgramBuilder::rms_norm(ValueId in, const TensorView& weight, float eps) {
  return norm(in, norm_of({NormKind::kRms, eps, {weight}}, value(in).width));
}

LinearPart ProgramBuilder::add_matrix(std::int64_t in_width, const Weight& weight) {
  const MatrixSource& matrix = weight.matrix;
  expect(is_matrix(with_blocks(matrix.view)), "matrix");
  expect(matrix.view.shape[1] == in_width, "matrix width");
  expect(matrix.is_plain() || !tensor::is_quantized(matrix.view.dtype) || matrix.column_stride == 1,
         "matrix strides");
  program_.matrices.push_back(matrix);
  LinearPart part{static_cast<MatrixId>(program_.matrices.size()) - 1, kNone, kNone, false};
  const std::int64_t rows = matrix.view.shape[0];
  if (weight.bias != nullptr) part.bias = add_constant(*weight.bias, rows);
  if (weight.bias_slice) {
    part.bias = add_constant(*weight.bias_slice, rows);
    program_.constants.back().stride = weight.bias_stride;
  }
  return part;
}

LinearPart ProgramBuilder::add_part(ValueId in, const Weight& weight, ValueId out) {
  LinearPart part = add_matrix(value(in).width, weight);
  const Rows rows = value(in).rows;
  const std::int64_t width = weight.matrix.view.shape[0];
  part.out = out == kNone ? add_value(rows, width) : out;
  expect(value(part.out).width == width && value(part.out).rows == rows, "linear output");
  return part;
}

std::vector<ValueId> ProgramBuilder::linear(ValueId in, std::span<const Weight> weights) {
  LinearOp op{in, {}};
  std::vector<ValueId> outs;
  for (const Weight& weight : weights) {
    op.parts.push_back(add_part(in, weight, kNone));
    outs.push_back(op.parts.back().out);
  }
  add_op(std::move(op));
  return outs;
}

void ProgramBuilder::linear_add(ValueId sum, ValueId in, const Weight& weight) {
  LinearOp op{in, {add_part(in, weight, sum)}};
  op.parts.front().accumulate = true;
  add_op(std::move(op));
}

ValueId ProgramBuilder::gated_linear(ValueId in,
                                     const Weight& gate,
                                     const Weight& up,
                                     Activation activation) {
  const std::int64_t in_width = value(in).width;
  GatedLinearOp op{in, add_matrix(in_width, gate), add_matrix(in_width, up), kNone, activation};
  const std::int64_t width = gate.matrix.view.shape[0];
  expect(width == up.matrix.view.shape[0], "gate and up widths");
  op.out = add_value(value(in).rows, width);
  const ValueId out = op.out;
  add_op(std::move(op));
  return out;
}

ValueId ProgramBuilder::make_value(ValueId like, std::int64_t width) {
  return add_value(value(like).rows, width);
}

void ProgramBuilder::expect_columns(const Columns& columns, std::int64_t count) {
  const bool fits =
      columns.begin >= 0 && columns.stride >= 0 && count > 0 &&
      columns.begin + (count - 1) * columns.stride + columns.width <= value(columns.value).width;
  expect(fits, "columns");
}

void ProgramBuilder::head_linear(const Columns& in,
                                 std::span<const Weight> heads,
                                 const Columns& out) {
  const auto count = static_cast<std::int64_t>(heads.size());
  expect_columns(in, count);
  expect_columns(out, count);
  HeadLinearOp op{in.value, in.begin, in.stride, {}, out.value, out.begin, out.stride};
  for (const Weight& head : heads) {
    op.heads.push_back(add_matrix(in.width, head));
    expect(head.matrix.view.shape[0] == out.width, "width of a head");
  }
  add_op(std::move(op));
}

void ProgramBuilder::copy_columns(const Columns& in, const Columns& out, std::int64_t count) {
  expect_columns(in, count);
  expect_columns(out, count);
  expect(in.width == out.width && value(in.value).rows == value(out.value).rows, "copy");
  add_op(CopyColumnsOp{
      in.value, in.begin, in.stride, out.value, out.begin, out.stride, in.width, count});
}

void ProgramBuilder::activate(ValueId target, Activation activation, ValueId factor) {
  expect(factor == kNone || value(factor).width == value(target).width, "factor");
  add_op(ActivateOp{target, factor, activation});
}

void ProgramBuilder::add(ValueId sum, ValueId in, float factor) {
  expect(value(sum).width == value(in).width && value(sum).rows == value(in).rows, "sum");
  add_op(AddOp{sum, in, factor});
}

void ProgramBuilder::scale(ValueId target, float factor) { add_op(ScaleOp{target, factor}); }

void ProgramBuilder::clamp(ValueId target, float bound) { add_op(ClampOp{target, bound}); }

void ProgramBuilder::soft_cap(ValueId target, float cap) {
  expect(cap > 0, "soft cap");
  add_op(SoftCapOp{target, cap});
}

void ProgramBuilder::gate_rows(ValueId target, ValueId gate) {
  expect(value(gate).width == 1 && value(gate).rows == value(target).rows, "gate of rows");
  add_op(GateRowsOp{target, gate});
}

ValueId ProgramBuilder::attention(
    std::int32_t layer, ValueId q, ValueId k, ValueId v, const AttentionStyle& style) {
  const AttentionShape& shape = program_.attention;
  const std::int64_t width = shape.heads * shape.head_dim;
  expect(layer >= 0 && layer < shape.layers, "layer");
  expect(value(q).width == width, "query width");
  expect(value(k).width == shape.kv_heads * shape.head_dim, "key width");
  expect(shape.is_latent ? v == kNone : value(v).width == value(k).width, "value width");
  expect(style.rope < static_cast<std::int32_t>(program_.ropes.size()), "rope");
  expect(style.slopes.empty() || std::ssize(style.slopes) == shape.heads, "slopes");
  add_op(StoreKvOp{layer, q, k, v, style.rope, style.q_norm, style.k_norm});
  AttentionOp op;
  op.layer = layer;
  op.q = q;
  op.out = add_value(Rows::kTokens, width);
  op.scale = style.scale;
  if (op.scale == 0) {
    op.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  }
  op.reach_before = style.reach_before;
  op.reach_after = shape.is_bidirectional ? style.reach_after : 0;
  op.soft_cap = style.soft_cap;
  op.slopes = style.slopes;
  if (style.sinks != nullptr) op.sinks = add_constant(*style.sinks, shape.heads);
  const ValueId out = op.out;
  add_op(std::move(op));
  return out;
}

ValueId ProgramBuilder::route(ValueId logits,
                              Routing routing,
                              const tensor::TensorView* correction) {
  const std::int64_t experts = value(logits).width;
  expect(routing.chosen_count > 0 && routing.chosen_count <= experts, "chosen experts");
  expect(routing.group_count > 0 && routing.group_count <= kExpertGroupCountMax &&
             experts % routing.group_count == 0,
         "groups of experts");
  if (correction != nullptr) routing.correction = add_constant(*correction, experts);
  const ValueId out = make_value(logits, 2 * routing.chosen_count);
  add_op(RouteOp{logits, routing, out});
  return out;
}

ValueId ProgramBuilder::experts(ValueId in,
                                ValueId routes,
                                std::span<const ExpertWeights> experts,
                                Activation activation,
                                float clamp) {
  ExpertsOp op;
  op.in = in;
  op.routes = routes;
  op.activation = activation;
  op.clamp = clamp;
  expect(!experts.empty(), "experts");
  const std::int64_t width = value(in).width;
  const std::int64_t ffn = experts.empty() ? 0 : experts.front().up.matrix.view.shape[0];
  for (const ExpertWeights& expert : experts) {
    op.experts.push_back({add_matrix(width, expert.gate),
                          add_matrix(width, expert.up),
                          add_matrix(ffn, expert.down)});
    expect(expert.gate.matrix.view.shape[0] == ffn && expert.up.matrix.view.shape[0] == ffn &&
               expert.down.matrix.view.shape[0] == width,
           "widths of experts");
  }
  const std::int64_t chosen = value(routes).width / 2;
  op.hidden = make_value(in, chosen * ffn);
  op.products = make_value(in, chosen * width);
  op.out = make_value(in, width);
  const ValueId out = op.out;
  add_op(std::move(op));
  return out;
}

ValueId ProgramBuilder::gather_logit_rows(ValueId in) {
  const Value source = value(in);
  expect(source.rows == Rows::kTokens, "gather input");
  const ValueId out = add_value(Rows::kOutputs, source.width);
  add_op(GatherRowsOp{in, out});
  return out;
}

ValueId ProgramBuilder::mean_rows(ValueId in) {
  const Value source = value(in);
  expect(source.rows == Rows::kTokens, "mean input");
  expect(program_.attention.is_bidirectional, "mean over parts of a sequence");
  const ValueId out = add_value(Rows::kOutputs, source.width);
  add_op(MeanRowsOp{in, out});
  return out;
}

// Finds the head, the last linear over the outputs: what it reads are the hidden states, and what
// comes of it has rows for logits only.
void ProgramBuilder::mark_outputs() {
  auto head = static_cast<std::int32_t>(program_.ops.size());
  for (std::int32_t i = head - 1; i >= 0 && program_.hidden == kNone; --i) {
    const auto* linear = std::get_if<LinearOp>(&program_.ops[static_cast<std::size_t>(i)]);
    if (linear == nullptr || value(linear->in).rows != Rows::kOutputs) continue;
    program_.hidden = linear->in;
    head = i;
  }
  for (Value& made : program_.values) {
    if (made.rows == Rows::kOutputs && made.first_op >= head) made.rows = Rows::kLogits;
  }
}

Result<Program> ProgramBuilder::finish(ValueId logits) && {
  expect(value(logits).rows == Rows::kOutputs, "logits");
  if (!status_.ok()) return status_;
  program_.logits = logits;
  mark_outputs();
  if (program_.hidden != kNone) keep_to_end(program_.hidden);
  return std::move(program_);
}

Result<Program> ProgramBuilder::finish_hidden(ValueId hidden) && {
  expect(value(hidden).rows == Rows::kOutputs, "hidden states");
  if (!status_.ok()) return status_;
  program_.hidden = hidden;
  keep_to_end(hidden);
  return std::move(program_);
}

// It is read after the run.
void ProgramBuilder::keep_to_end(ValueId id) {
  program_.values[static_cast<std::size_t>(id)].last_op =
      static_cast<std::int32_t>(program_.ops.size()) - 1;
}

}  // namespace inferneo::graph
