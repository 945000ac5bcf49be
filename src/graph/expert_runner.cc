#include "graph/expert_runner.h"

#include <algorithm>
#include <cstring>
#include <variant>

#include "base/check.h"
#include "kernels/matrix_ops.h"

namespace inferneo::graph {
namespace {

using tensor::DType;

// Rows that a worker takes at a time: their packed inputs stay in its cache.
constexpr std::int64_t kBlockRows = 64;
// Columns of an item at most, so that scratch for products stays small.
constexpr std::int64_t kPieceColumnsMax = 512;
constexpr std::size_t kAlignment = 64;

std::size_t round_up(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

// Rows of an expert from which on packing them costs about as much as a few columns do.
constexpr std::int64_t kManyRows = 8;
constexpr std::int64_t kItemsPerThread = 4;

// Columns of the pieces that the matrices of `experts` are cut into. Why more for many rows: each
// piece packs the rows of its expert again.
std::int64_t piece_width(std::int64_t columns,
                         std::int64_t work_per_column,
                         std::int64_t experts,
                         std::int64_t rows_per_expert,
                         std::int64_t threads) {
  constexpr std::int64_t kGrain = 2 * kernels::kPanelOutputs;
  std::int64_t wanted = grain_for(work_per_column, kGrain);
  if (rows_per_expert >= kManyRows) {
    wanted = std::max(wanted, columns * experts / (kItemsPerThread * threads));
  }
  const std::int64_t pieces = (columns - 1) / std::min(wanted, kPieceColumnsMax) + 1;
  return ((columns - 1) / pieces / kGrain + 1) * kGrain;
}

}  // namespace

ExpertRunner::ExpertRunner(const Program& program,
                           const Constants& constants,
                           const Matrices& matrices,
                           const StepValues& values,
                           device::CpuDevice& device)
    : program_(program),
      constants_(constants),
      matrices_(matrices),
      values_(values),
      device_(device),
      table_(device.kernels()) {}

Status ExpertRunner::allocate(const StepLimits& limits) {
  std::int64_t width_max = 0;
  std::size_t packed_size = 0;
  const auto cover = [&](const LinearPart& part, std::int64_t width) {
    width_max = std::max(width_max, width);
    const kernels::MatrixOps* ops = matrices_[part.matrix].ops;
    if (ops != nullptr) packed_size = std::max(packed_size, ops->inputs->size(kBlockRows, width));
  };
  const std::int64_t rows_max = std::max(limits.token_count_max, limits.logit_row_count_max);
  for (const Op& op : program_.ops) {
    if (const auto* heads = std::get_if<HeadLinearOp>(&op)) {
      for (const LinearPart& part : heads->heads) {
        cover(part, program_.matrices[static_cast<std::size_t>(part.matrix)].view.shape[1]);
      }
    }
    const auto* experts = std::get_if<ExpertsOp>(&op);
    if (experts == nullptr) continue;
    const std::int64_t chosen = values_.width(experts->routes) / 2;
    for (const Expert& expert : experts->experts) {
      cover(expert.gate, values_.width(experts->in));
      cover(expert.up, values_.width(experts->in));
      cover(expert.down, values_.width(experts->hidden) / chosen);
    }
    const auto pairs = static_cast<std::size_t>(rows_max * chosen);
    sources_.resize(std::max(sources_.size(), pairs));
    places_.resize(sources_.size());
    first_.resize(std::max(first_.size(), experts->experts.size() + 1));
    const std::int64_t columns =
        std::max(values_.width(experts->out), values_.width(experts->hidden) / chosen);
    const auto pieces = static_cast<std::size_t>(columns / (2 * kernels::kPanelOutputs) + 1);
    const std::size_t active = std::min(experts->experts.size(), pairs);
    items_.resize(std::max(items_.size(), active * pieces));
  }
  if (width_max == 0) return ok_status();
  gathered_size_ = round_up(static_cast<std::size_t>(kBlockRows * width_max) * sizeof(float));
  products_size_ = static_cast<std::size_t>(kBlockRows * kPieceColumnsMax) * sizeof(float);
  scratch_stride_ = gathered_size_ + 2 * products_size_ + round_up(packed_size);
  ASSIGN_OR_RETURN(
      scratch_,
      AnonymousMemory::allocate(scratch_stride_ * static_cast<std::size_t>(device_.thread_count()),
                                "scratch memory of experts"));
  return ok_status();
}

// A counting sort of rows by expert, rows in order within an expert.
void ExpertRunner::sort_rows(const ExpertsOp& op) noexcept {
  const std::int64_t rows = values_.rows(op.in);
  const std::int64_t chosen = values_.width(op.routes) / 2;
  std::fill(first_.begin(), first_.end(), 0);
  const auto expert_of = [&](std::int64_t row, std::int64_t slot) {
    return static_cast<std::size_t>(values_.at(op.routes, row)[slot]);
  };
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t slot = 0; slot < chosen; ++slot) ++first_[expert_of(row, slot) + 1];
  }
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t slot = 0; slot < chosen; ++slot) {
      const std::int32_t place = first_[expert_of(row, slot)]++;
      places_[static_cast<std::size_t>(row * chosen + slot)] = place;
      sources_[static_cast<std::size_t>(place)] = static_cast<std::int32_t>(row);
    }
  }
  // Each count has moved on to the next expert's first row.
  for (std::size_t i = first_.size() - 1; i > 0; --i) first_[i] = first_[i - 1];
  first_[0] = 0;
}

void ExpertRunner::operator()(const ExpertsOp& op) noexcept {
  const std::int64_t rows = values_.rows(op.in);
  if (rows == 0) return;
  sort_rows(op);
  const std::int64_t chosen = values_.width(op.routes) / 2;
  const std::int64_t width = values_.width(op.in);
  const std::int64_t ffn = values_.width(op.hidden) / chosen;
  std::int64_t active = 0;
  for (std::size_t i = 0; i + 1 < first_.size(); ++i) active += first_[i] < first_[i + 1] ? 1 : 0;
  const auto run = [&](std::int64_t columns, std::int64_t depth, auto&& f) {
    const std::int64_t piece =
        piece_width(columns, depth, active, rows * chosen / active, device_.thread_count());
    std::int64_t count = 0;
    for (std::size_t expert = 0; expert < op.experts.size(); ++expert) {
      if (first_[expert] == first_[expert + 1]) continue;
      for (std::int64_t begin = 0; begin < columns; begin += piece) {
        items_[static_cast<std::size_t>(count++)] = {static_cast<std::int32_t>(expert),
                                                     {begin, std::min(begin + piece, columns)}};
      }
    }
    auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
      for (; begin < end; ++begin) f(items_[static_cast<std::size_t>(begin)], worker);
    };
    device_.parallel_for(count, 1, body);
  };
  run(ffn, 2 * width, [&](const Item& item, int worker) { activate(op, item, worker); });
  run(width, ffn, [&](const Item& item, int worker) { project(op, item, worker); });
  combine(op);
}

// A piece of gate and up of one expert's rows, whose product goes to op.hidden.
void ExpertRunner::activate(const ExpertsOp& op, const Item& item, int worker) noexcept {
  const Expert& expert = op.experts[static_cast<std::size_t>(item.expert)];
  const std::int64_t width = values_.width(op.in);
  const std::int64_t ffn = values_.width(op.hidden) / (values_.width(op.routes) / 2);
  const std::int64_t columns = item.columns.end - item.columns.begin;
  auto* gathered = reinterpret_cast<float*>(scratch(worker));
  auto* gate = reinterpret_cast<float*>(scratch(worker) + gathered_size_);
  auto* up = reinterpret_cast<float*>(scratch(worker) + gathered_size_ + products_size_);
  const std::int32_t last = first_[static_cast<std::size_t>(item.expert) + 1];
  for (std::int64_t begin = first_[static_cast<std::size_t>(item.expert)]; begin < last;
       begin += kBlockRows) {
    const std::int64_t count = std::min<std::int64_t>(kBlockRows, last - begin);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t row = sources_[static_cast<std::size_t>(begin + i)];
      std::memcpy(gathered + i * width,
                  values_.at(op.in, row),
                  static_cast<std::size_t>(width) * sizeof(float));
    }
    const Rows in = {gathered, width, count, width};
    const kernels::InputOps* packed = pack(expert.gate, in, worker);
    linear(expert.gate, in, item.columns, gate, columns, worker);
    if (inputs_of(expert.up) != packed) pack(expert.up, in, worker);
    linear(expert.up, in, item.columns, up, columns, worker);
    if (op.clamp > 0) {
      for (std::int64_t i = 0; i < count * columns; ++i) {
        gate[i] = std::min(gate[i], op.clamp);
        up[i] = std::clamp(up[i], -op.clamp, op.clamp) + 1;
      }
    }
    float* hidden = values_.at(op.hidden) + begin * ffn + item.columns.begin;
    for (std::int64_t i = 0; i < count; ++i) {
      table_.activate(
          op.activation, gate + i * columns, up + i * columns, hidden + i * ffn, columns);
    }
  }
}

// A piece of the results of one expert's rows.
void ExpertRunner::project(const ExpertsOp& op, const Item& item, int worker) noexcept {
  const Expert& expert = op.experts[static_cast<std::size_t>(item.expert)];
  const std::int64_t width = values_.width(op.out);
  const std::int64_t ffn = values_.width(op.hidden) / (values_.width(op.routes) / 2);
  const std::int32_t last = first_[static_cast<std::size_t>(item.expert) + 1];
  for (std::int64_t begin = first_[static_cast<std::size_t>(item.expert)]; begin < last;
       begin += kBlockRows) {
    const std::int64_t count = std::min<std::int64_t>(kBlockRows, last - begin);
    const Rows in = {values_.at(op.hidden) + begin * ffn, ffn, count, ffn};
    float* out = values_.at(op.products) + begin * width + item.columns.begin;
    pack(expert.down, in, worker);
    linear(expert.down, in, item.columns, out, width, worker);
  }
}

// Why in order of choice: the sum of a row then depends on the row alone.
void ExpertRunner::combine(const ExpertsOp& op) noexcept {
  const std::int64_t width = values_.width(op.out);
  const std::int64_t chosen = values_.width(op.routes) / 2;
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* weights = values_.at(op.routes, row) + chosen;
      float* out = values_.at(op.out, row);
      std::fill_n(out, width, 0.0F);
      for (std::int64_t slot = 0; slot < chosen; ++slot) {
        const std::int64_t place = places_[static_cast<std::size_t>(row * chosen + slot)];
        const float* product = values_.at(op.products) + place * width;
        for (std::int64_t i = 0; i < width; ++i) out[i] += weights[slot] * product[i];
      }
    }
  };
  device_.parallel_for(values_.rows(op.out), grain_for(2 * chosen * width), body);
}

void ExpertRunner::operator()(const HeadLinearOp& op) noexcept {
  const std::int64_t rows = values_.rows(op.in);
  const std::int64_t in_stride = values_.width(op.in);
  const std::int64_t out_stride = values_.width(op.out);
  const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t head = i / blocks;
      const std::int64_t row = i % blocks * kBlockRows;
      const LinearPart& part = op.heads[static_cast<std::size_t>(head)];
      const tensor::Shape& shape =
          program_.matrices[static_cast<std::size_t>(part.matrix)].view.shape;
      const Rows in = {values_.at(op.in, row) + op.in_begin + head * op.in_stride,
                       in_stride,
                       std::min(kBlockRows, rows - row),
                       shape[1]};
      float* out = values_.at(op.out, row) + op.out_begin + head * op.out_stride;
      pack(part, in, worker);
      linear(part, in, {0, shape[0]}, out, out_stride, worker);
    }
  };
  device_.parallel_for(std::ssize(op.heads) * blocks, 1, body);
}

const kernels::InputOps* ExpertRunner::inputs_of(const LinearPart& part) const noexcept {
  const kernels::MatrixOps* ops = matrices_[part.matrix].ops;
  return ops == nullptr ? nullptr : ops->inputs;
}

const kernels::InputOps* ExpertRunner::pack(const LinearPart& part,
                                            const Rows& in,
                                            int worker) const noexcept {
  const kernels::InputOps* ops = inputs_of(part);
  if (ops != nullptr) ops->pack(in.x, in.x_stride, 0, in.count, in.width, packed(worker));
  return ops;
}

// Writes columns of all rows: column c of row i to y[i * y_stride + c - columns.begin].
void ExpertRunner::linear(const LinearPart& part,
                          const Rows& in,
                          const Columns& columns,
                          float* y,
                          std::int64_t y_stride,
                          int worker) const noexcept {
  const Matrix& matrix = matrices_[part.matrix];
  if (matrix.ops != nullptr) {
    kernels::PackedLinearArgs args;
    args.inputs = packed(worker);
    args.panels = matrix.data;
    args.bias = constants_.find(part.bias);
    args.y = y - columns.begin;
    args.m = in.count;
    args.n_begin = columns.begin;
    args.n_end = columns.end;
    args.k = in.width;
    args.y_stride = y_stride;
    args.codebook = matrix.codebook;
    matrix.ops->linear(args);
    return;
  }
  kernels::LinearArgs args;
  args.x = in.x;
  args.w = matrix.data;
  args.bias = constants_.find(part.bias);
  args.y = y - columns.begin;
  args.m = in.count;
  args.n_begin = columns.begin;
  args.n_end = columns.end;
  args.k = in.width;
  args.x_stride = in.x_stride;
  args.y_stride = y_stride;
  find_linear(table_, matrix.dtype)(args);
}

}  // namespace inferneo::graph
