#include "graph/row_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/routing.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::graph {
namespace {

using tensor::TensorView;

const std::byte* table_row(const TensorView& table, std::int64_t row) {
  const std::int64_t blocks = table.shape[1] / tensor::dtype_block_elements(table.dtype);
  return table.data +
         static_cast<std::size_t>(row * blocks) * tensor::dtype_block_size(table.dtype);
}

}  // namespace

void apply_norm(const kernels::KernelTable& table,
                const Constants& constants,
                const Norm& norm,
                const float* x,
                std::int64_t first,
                std::int64_t stretches,
                float* y) noexcept {
  const float* weight = constants.find(norm.weight);
  const float* bias = constants.find(norm.bias);
  for (std::int64_t i = 0; i < stretches; ++i, x += norm.width, y += norm.width) {
    const std::int64_t offset = norm.is_shared ? 0 : (first + i) * norm.width;
    if (norm.kind == NormKind::kRms) {
      table.rms_norm(x, weight + offset, norm.eps, y, norm.width);
    } else {
      table.layer_norm(x,
                       weight == nullptr ? nullptr : weight + offset,
                       bias == nullptr ? nullptr : bias + offset,
                       norm.eps,
                       y,
                       norm.width);
    }
  }
}

template <typename F>
void RowOps::for_elements(ValueId id, std::int64_t cost, const F& f) const noexcept {
  // Whole cache lines.
  constexpr std::int64_t kLine = 16;
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    f(values_.at(id) + begin, begin, end - begin);
  };
  device_.parallel_for(values_.rows(id) * values_.width(id), grain_for(cost, kLine), body);
}

template <typename F>
void RowOps::for_rows(ValueId id, std::int64_t cost, const F& f) const noexcept {
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) f(row);
  };
  device_.parallel_for(values_.rows(id), grain_for(cost), body);
}

void RowOps::operator()(const EmbedOp& op) const noexcept {
  const std::int64_t width = values_.width(op.out);
  for_rows(op.out, 4 * width, [&](std::int64_t row) {
    const std::int64_t id = values_.step().token_ids[static_cast<std::size_t>(row)];
    tensor::dequantize_row(op.table.dtype, table_row(op.table, id), width, values_.at(op.out, row));
  });
}

void RowOps::add_positions(const PositionOp& op, const std::int32_t* indices) const noexcept {
  const std::int64_t width = values_.width(op.sum);
  const auto element = static_cast<std::size_t>(tensor::dtype_block_elements(op.table.dtype));
  for_rows(op.sum, 4 * width, [&](std::int64_t row) {
    const std::int64_t index = op.offset + indices[row];
    const std::byte* from = table_row(op.table, std::min(index, op.table.shape[0] - 1));
    float* sum = values_.at(op.sum, row);
    // A piece at a time, in whole blocks of the type.
    constexpr std::int64_t kPiece = 256;
    float piece[kPiece];
    for (std::int64_t i = 0; i < width; i += kPiece) {
      const std::int64_t count = std::min(kPiece, width - i);
      const std::size_t offset =
          static_cast<std::size_t>(i) / element * tensor::dtype_block_size(op.table.dtype);
      tensor::dequantize_row(op.table.dtype, from + offset, count, piece);
      for (std::int64_t j = 0; j < count; ++j) sum[i + j] += piece[j];
    }
  });
}

void RowOps::operator()(const NormOp& op) const noexcept {
  const std::int64_t width = values_.width(op.in);
  for_rows(op.in, 8 * width, [&](std::int64_t row) {
    apply_norm(table_,
               constants_,
               op.norm,
               values_.at(op.in, row),
               0,
               width / op.norm.width,
               values_.at(op.out, row));
  });
}

void RowOps::operator()(const CopyColumnsOp& op) const noexcept {
  const std::size_t size = static_cast<std::size_t>(op.piece) * sizeof(float);
  for_rows(op.out, op.piece * op.count, [&](std::int64_t row) {
    const float* from = values_.at(op.in, row) + op.in_begin;
    float* to = values_.at(op.out, row) + op.out_begin;
    for (std::int64_t i = 0; i < op.count; ++i, from += op.in_stride, to += op.out_stride) {
      std::memcpy(to, from, size);
    }
  });
}

void RowOps::operator()(const ActivateOp& op) const noexcept {
  for_elements(op.value, 16, [&](float* x, std::int64_t begin, std::int64_t count) {
    const float* factor = op.factor == kNone ? nullptr : values_.at(op.factor) + begin;
    table_.activate(op.activation, x, factor, x, count);
  });
}

void RowOps::operator()(const AddOp& op) const noexcept {
  for_elements(op.sum, 2, [&](float* sum, std::int64_t begin, std::int64_t count) {
    const float* in = values_.at(op.in) + begin;
    for (std::int64_t i = 0; i < count; ++i) sum[i] += op.factor * in[i];
  });
}

void RowOps::operator()(const ScaleOp& op) const noexcept {
  for_elements(op.value, 2, [&](float* x, std::int64_t, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) x[i] *= op.factor;
  });
}

void RowOps::operator()(const ClampOp& op) const noexcept {
  for_elements(op.value, 2, [&](float* x, std::int64_t, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) x[i] = std::clamp(x[i], -op.bound, op.bound);
  });
}

void RowOps::operator()(const SoftCapOp& op) const noexcept {
  for_elements(op.value, 16, [&](float* x, std::int64_t, std::int64_t count) {
    table_.soft_cap(x, op.cap, x, count);
  });
}

void RowOps::operator()(const GateRowsOp& op) const noexcept {
  const std::int64_t width = values_.width(op.value);
  for_rows(op.value, 2 * width, [&](std::int64_t row) {
    const float factor = 1 / (1 + std::exp(-*values_.at(op.gate, row)));
    float* x = values_.at(op.value, row);
    for (std::int64_t i = 0; i < width; ++i) x[i] *= factor;
  });
}

void RowOps::operator()(const GatherRowsOp& op) const noexcept {
  const std::size_t size = static_cast<std::size_t>(values_.width(op.in)) * sizeof(float);
  const Step& step = values_.step();
  std::int64_t out = 0;
  for (const auto& wanted : {step.logit_rows, step.hidden_rows}) {
    for (const std::int32_t row : wanted) {
      std::memcpy(values_.at(op.out, out++), values_.at(op.in, row), size);
    }
  }
}

void RowOps::operator()(const MeanRowsOp& op) const noexcept {
  const std::int64_t width = values_.width(op.in);
  const Step& step = values_.step();
  std::int64_t next = 0;
  for (const auto& wanted : {step.logit_rows, step.hidden_rows}) {
    for (const std::int32_t row : wanted) {
      const auto sequence = std::find_if(
          step.sequences.begin(), step.sequences.end(), [&](const SequenceSlice& slice) {
            return row < slice.token_begin + slice.token_count;
          });
      float* out = values_.at(op.out, next++);
      std::fill_n(out, width, 0.0F);
      for (std::int32_t i = 0; i < sequence->token_count; ++i) {
        const float* in = values_.at(op.in, sequence->token_begin + i);
        for (std::int64_t column = 0; column < width; ++column) out[column] += in[column];
      }
      const float share = 1 / static_cast<float>(sequence->token_count);
      for (std::int64_t column = 0; column < width; ++column) out[column] *= share;
    }
  }
}

void RowOps::operator()(const RouteOp& op) const noexcept {
  const std::int64_t experts = values_.width(op.logits);
  const float* correction = constants_.find(op.routing.correction);
  for_rows(op.logits, 16 * experts, [&](std::int64_t row) {
    choose_experts(
        op.routing, values_.at(op.logits, row), experts, correction, values_.at(op.out, row));
  });
}

}  // namespace inferneo::graph
