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

template <typename F>
void for_each_value(const Op& op, F&& f) {
  struct Visitor {
    F& f;
    void operator()(const EmbedOp& op) { f(op.out); }
    void operator()(const RmsNormOp& op) { f(op.in), f(op.out); }
    void operator()(const LinearOp& op) {
      f(op.in);
      for (const LinearPart& part : op.parts) f(part.out);
    }
    void operator()(const GatedLinearOp& op) { f(op.in), f(op.out); }
    void operator()(const StoreKvOp& op) { f(op.q), f(op.k), f(op.v); }
    void operator()(const AttentionOp& op) { f(op.q), f(op.out); }
    void operator()(const GatherRowsOp& op) { f(op.in), f(op.out); }
  };
  std::visit(Visitor{f}, op);
}

}  // namespace

ProgramBuilder::ProgramBuilder(const AttentionShape& attention,
                               Rope rope,
                               const Arithmetic& arithmetic) {
  program_.attention = attention;
  program_.rope = std::move(rope);
  program_.arithmetic = arithmetic;
  const auto rotary = static_cast<std::int64_t>(program_.rope.inverse_frequencies.size()) * 2;
  expect(rotary > 0 && rotary <= attention.head_dim, "rotary width");
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
  expect(is_vector_type(view.dtype), "type of a vector");
  expect(view.shape == tensor::Shape({width}), "shape of a vector");
  program_.constants.push_back(view);
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

ValueId ProgramBuilder::rms_norm(ValueId in, const TensorView& weight, float eps) {
  const Value source = value(in);
  const ConstantId constant = add_constant(weight, source.width);
  const ValueId out = add_value(source.rows, source.width);
  add_op(RmsNormOp{in, constant, eps, out});
  return out;
}

LinearPart ProgramBuilder::add_matrix(ValueId in, const Weight& weight) {
  const TensorView& matrix = weight.matrix;
  expect(is_matrix(matrix), "matrix");
  expect(matrix.shape[1] == value(in).width, "matrix width");
  program_.matrices.push_back(matrix);
  LinearPart part{static_cast<MatrixId>(program_.matrices.size()) - 1, kNone, kNone, false};
  if (weight.bias != nullptr) part.bias = add_constant(*weight.bias, matrix.shape[0]);
  return part;
}

LinearPart ProgramBuilder::add_part(ValueId in, const Weight& weight, ValueId out) {
  LinearPart part = add_matrix(in, weight);
  const Rows rows = value(in).rows;
  const std::int64_t width = weight.matrix.shape[0];
  part.out = out == kNone ? add_value(rows, width) : out;
  expect(value(part.out).width == width && value(part.out).rows == rows, "linear output");
  return part;
}

std::vector<ValueId> ProgramBuilder::linear(ValueId in, std::initializer_list<Weight> weights) {
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

ValueId ProgramBuilder::gated_linear(ValueId in, const Weight& gate, const Weight& up) {
  GatedLinearOp op{in, add_matrix(in, gate), add_matrix(in, up), kNone};
  expect(gate.matrix.shape[0] == up.matrix.shape[0], "gate and up widths");
  op.out = add_value(value(in).rows, gate.matrix.shape[0]);
  const ValueId out = op.out;
  add_op(std::move(op));
  return out;
}

ValueId ProgramBuilder::attention(std::int32_t layer, ValueId q, ValueId k, ValueId v) {
  const AttentionShape& shape = program_.attention;
  const std::int64_t width = shape.heads * shape.head_dim;
  expect(layer >= 0 && layer < shape.layers, "layer");
  expect(value(q).width == width, "query width");
  expect(value(k).width == shape.kv_heads * shape.head_dim, "key width");
  expect(value(v).width == value(k).width, "value width");
  add_op(StoreKvOp{layer, q, k, v});
  const ValueId out = add_value(Rows::kTokens, width);
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  add_op(AttentionOp{layer, q, out, scale});
  return out;
}

ValueId ProgramBuilder::gather_logit_rows(ValueId in) {
  const Value source = value(in);
  expect(source.rows == Rows::kTokens, "gather input");
  const ValueId out = add_value(Rows::kOutputs, source.width);
  add_op(GatherRowsOp{in, out});
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
