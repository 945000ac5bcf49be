// Layers of experts: the router, the experts in the forms in which files hold them, and the expert
// that all tokens go through.
#include <utility>

#include "arch/decoder_layer.h"
#include "base/str.h"

namespace inferneo::arch {

using graph::MatrixSource;
using graph::ProgramBuilder;
using graph::ValueId;
using tensor::TensorView;

namespace {

// One expert of a stack. Shape of the stack: [experts][..]
TensorView one_of(const TensorView& stack, std::int64_t expert, const tensor::Shape& shape) {
  return slice(stack, expert * shape.element_count(), shape);
}

}  // namespace

ValueId DecoderLayer::route_and_run(ValueId in) {
  const MoePlan& moe = *plan_.moe;
  const TensorView& router = weights_.take(role("router.weight"), {moe.expert_count, plan_.hidden});
  const TensorView* router_bias =
      moe.has_router_bias ? &weights_.take(role("router.bias"), {moe.expert_count}) : nullptr;
  const TensorView* correction = nullptr;
  if (moe.has_correction) {
    const char* name = plan_.is_gguf ? "router_correction.bias" : "router_correction";
    correction = &weights_.take(role(name), {moe.expert_count});
  }
  const auto experts = take_experts();
  if (!weights_.status().ok()) return in;
  const ValueId logits = builder_.linear(in, {{router, router_bias}}).front();
  const ValueId routes = builder_.route(logits, moe.routing, correction);
  const ValueId out = builder_.experts(in, routes, experts, plan_.activation, moe.clamp);
  if (moe.shared_ffn > 0) add_shared(out, in);
  return out;
}

std::vector<ProgramBuilder::ExpertWeights> DecoderLayer::take_experts() {
  std::vector<ProgramBuilder::ExpertWeights> experts;
  for (std::int64_t i = 0; i < plan_.moe->expert_count && weights_.status().ok(); ++i) {
    experts.push_back(take_expert(i));
  }
  return experts;
}

ProgramBuilder::ExpertWeights DecoderLayer::take_expert(std::int64_t expert) {
  const MoePlan& moe = *plan_.moe;
  const std::int64_t hidden = plan_.hidden;
  const MoePlan::Form form = plan_.is_gguf ? MoePlan::Form::kStacked : moe.form;
  if (form == MoePlan::Form::kSeparate) {
    const std::string base = role(str("expert.", expert, "."));
    return {take(base + "gate", moe.ffn, hidden, moe.has_bias),
            take(base + "up", moe.ffn, hidden, moe.has_bias),
            take(base + "down", hidden, moe.ffn, moe.has_bias)};
  }
  if (form == MoePlan::Form::kFusedStacked) return take_fused_expert(expert);
  if (form == MoePlan::Form::kInterleaved) return take_interleaved_expert(expert);
  const auto part = [&](const char* name, std::int64_t out, std::int64_t in) {
    const std::string base = role(str("experts.", name));
    const TensorView& stack = weights_.take(base + ".weight", {moe.expert_count, out, in});
    Weight weight;
    if (!weights_.status().ok()) return weight;
    weight.matrix.view = one_of(stack, expert, {out, in});
    if (weights_.has(base + ".bias")) {
      const TensorView& biases = weights_.take(base + ".bias", {moe.expert_count, out});
      weight.bias_slice = one_of(biases, expert, {out});
    }
    return weight;
  };
  return {
      part("gate", moe.ffn, hidden), part("up", moe.ffn, hidden), part("down", hidden, moe.ffn)};
}

ProgramBuilder::ExpertWeights DecoderLayer::take_fused_expert(std::int64_t expert) {
  const MoePlan& moe = *plan_.moe;
  const std::int64_t hidden = plan_.hidden;
  const TensorView& fused =
      weights_.take(role("experts.gate_up.weight"), {moe.expert_count, 2 * moe.ffn, hidden});
  const TensorView& down =
      weights_.take(role("experts.down.weight"), {moe.expert_count, hidden, moe.ffn});
  if (!weights_.status().ok()) return {};
  Weight whole;
  whole.matrix.view = one_of(fused, expert, {2 * moe.ffn, hidden});
  Weight output;
  output.matrix.view = one_of(down, expert, {hidden, moe.ffn});
  return {take_rows(whole, 0, moe.ffn), take_rows(whole, moe.ffn, moe.ffn), output};
}

// Rows of gate and up take turns, as MXFP4 checkpoints hold them. Shape: [experts][out][in]
ProgramBuilder::ExpertWeights DecoderLayer::take_interleaved_rows(std::int64_t expert) {
  const MoePlan& moe = *plan_.moe;
  const std::int64_t hidden = plan_.hidden;
  const std::int64_t both = 2 * moe.ffn;
  const TensorView& fused =
      weights_.take_matrices(role("experts.gate_up"), {moe.expert_count, both, hidden});
  const TensorView& down =
      weights_.take_matrices(role("experts.down"), {moe.expert_count, hidden, moe.ffn});
  if (!weights_.status().ok()) return {};
  const auto turn = [&](std::int64_t first) {
    Weight weight;
    const TensorView whole = one_of(fused, expert, {both, hidden});
    weight.matrix = {slice(whole, first * hidden, {moe.ffn, hidden}), 2 * hidden, 1};
    return weight;
  };
  Weight output;
  output.matrix.view = one_of(down, expert, {hidden, moe.ffn});
  return {turn(0), turn(1), output};
}

// Matrices stored as [in][out], in which the columns of gate and up take turns.
ProgramBuilder::ExpertWeights DecoderLayer::take_interleaved_columns(std::int64_t expert) {
  const MoePlan& moe = *plan_.moe;
  const std::int64_t hidden = plan_.hidden;
  const std::int64_t both = 2 * moe.ffn;
  const TensorView& fused =
      weights_.take(role("experts.gate_up"), {moe.expert_count, hidden, both});
  const TensorView& down = weights_.take(role("experts.down"), {moe.expert_count, moe.ffn, hidden});
  if (!weights_.status().ok()) return {};
  const auto turn = [&](std::int64_t first) {
    Weight weight;
    weight.matrix = {
        slice(one_of(fused, expert, {hidden, both}), first, {moe.ffn, hidden}), 2, both};
    return weight;
  };
  Weight output;
  output.matrix = {one_of(down, expert, {hidden, moe.ffn}), 1, hidden};
  return {turn(0), turn(1), output};
}

ProgramBuilder::ExpertWeights DecoderLayer::take_interleaved_expert(std::int64_t expert) {
  const MoePlan& moe = *plan_.moe;
  const std::int64_t both = 2 * moe.ffn;
  const TensorView* stored = weights_.find(role("experts.gate_up"));
  const bool in_rows = stored != nullptr && stored->dtype == tensor::DType::kMxfp4Apart;
  ProgramBuilder::ExpertWeights weights =
      in_rows ? take_interleaved_rows(expert) : take_interleaved_columns(expert);
  const TensorView& fused_bias =
      weights_.take(role("experts.gate_up_bias"), {moe.expert_count, both});
  const TensorView& down_bias =
      weights_.take(role("experts.down_bias"), {moe.expert_count, plan_.hidden});
  if (!weights_.status().ok()) return {};
  const TensorView biases = one_of(fused_bias, expert, {both});
  weights.gate.bias_slice = slice(biases, 0, {moe.ffn});
  weights.up.bias_slice = slice(biases, 1, {moe.ffn});
  weights.gate.bias_stride = weights.up.bias_stride = 2;
  weights.down.bias_slice = one_of(down_bias, expert, {plan_.hidden});
  return weights;
}

void DecoderLayer::add_shared(ValueId out, ValueId in) {
  const MoePlan& moe = *plan_.moe;
  const Weight gate = take(role("shared.gate"), moe.shared_ffn, plan_.hidden, false);
  const Weight up = take(role("shared.up"), moe.shared_ffn, plan_.hidden, false);
  const Weight down = take(role("shared.down"), plan_.hidden, moe.shared_ffn, false);
  if (!weights_.status().ok()) return;
  const ValueId hidden = builder_.gated_linear(in, gate, up, plan_.activation);
  if (!moe.has_shared_gate) {
    builder_.linear_add(out, hidden, down);
    return;
  }
  // GGUF files hold the one row as a vector.
  const tensor::Shape shape =
      plan_.is_gguf ? tensor::Shape({plan_.hidden}) : tensor::Shape({1, plan_.hidden});
  TensorView row = weights_.take(role("shared_gate.weight"), shape);
  row.shape = {1, plan_.hidden};
  if (!weights_.status().ok()) return;
  const ValueId shared = builder_.linear(hidden, {down}).front();
  builder_.gate_rows(shared, builder_.linear(in, {{row}}).front());
  builder_.add(out, shared);
}

}  // namespace inferneo::arch
