#include "graph/executor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "graph/attention_runner.h"
#include "graph/expert_runner.h"
#include "graph/fusion.h"
#include "graph/memory_planner.h"
#include "graph/row_ops.h"
#include "graph/step_values.h"

namespace inferneo::graph {
namespace {

using kernels::KernelTable;

constexpr std::int64_t kBlockSize = limits::kKvBlockSizeTokens;

// Output columns are handed out in multiples of this: whole cache lines of results, and two panels
// of a packed matrix, which kernels take side by side.
constexpr std::int64_t kColumnGrain = 2 * kernels::kPanelOutputs;
// Results of a linear that are worked on further at once, while they are in the cache: 512 KiB.
constexpr std::int64_t kFreshResults = 1 << 17;
// Rows of a block of such results: their packed inputs stay in the cache for the columns of a pass,
// whose weights stay in the last-level cache for all blocks of rows.
constexpr std::int64_t kBlockRows = 256;
constexpr std::int64_t kPassColumns = 512;
static_assert(kBlockRows % kernels::kInputRows == 0);
// For steps of at least so many rows threads take at least so many columns, where there are enough.
constexpr std::int64_t kManyRows = 64;
constexpr std::int64_t kPieceColumns = 256;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// A block of results.
struct Block {
  std::int64_t row_begin = 0;  // a multiple of kInputRows
  std::int64_t row_end = 0;
  std::int64_t begin = 0;  // columns
  std::int64_t end = 0;
};

// Cosines and sines of a rope.
struct Rotation {
  std::int64_t pairs = 0;
  std::vector<float> cos;  // Shape: [tokens][pairs]
  std::vector<float> sin;
};

// The columns of a linear's results as they are handed out.
struct Columns {
  std::int64_t count = 0;
  std::int64_t grain = 0;  // whole grains are handed out, and parts begin at one
};

// Where a linear writes: element (row, column) is at data[row * stride + column].
struct Results {
  float* data = nullptr;
  std::int64_t stride = 0;
};

}  // namespace

class Executor::Impl {
 public:
  Impl(const Program& program,
       const Constants& constants,
       const Matrices& matrices,
       device::CpuDevice& device)
      : program_(program),
        constants_(constants),
        matrices_(matrices),
        device_(device),
        table_(device.kernels()),
        fusions_(find_fusions(program)),
        values_(program),
        row_ops_(values_, constants, device),
        experts_(program, constants, matrices, values_, device),
        attention_(program, constants, device) {}

  Status allocate(const StepLimits& limits);
  std::span<float> run(const Step& step) noexcept;
  void resize_cache(std::int32_t block_count) const noexcept {
    attention_.resize_cache(block_count);
  }
  [[nodiscard]] std::span<const float> hidden() const noexcept { return hidden_; }

  void operator()(const LinearOp& op) noexcept;
  void operator()(const GatedLinearOp& op) noexcept;
  void operator()(const StoreKvOp& op) noexcept;
  void operator()(const AttentionOp& op) noexcept;
  void operator()(const PositionOp& op) noexcept {
    row_ops_.add_positions(op, op.by_segment ? segments_.data() : positions_.data());
  }
  void operator()(const HeadLinearOp& op) noexcept { experts_(op); }
  void operator()(const ExpertsOp& op) noexcept { experts_(op); }
  template <typename RowOp>
  void operator()(const RowOp& op) noexcept {
    row_ops_(op);
  }

 private:
  [[nodiscard]] const Value& value(ValueId id) const { return values_[id]; }
  [[nodiscard]] float* at(ValueId id, std::int64_t row = 0) const { return values_.at(id, row); }
  [[nodiscard]] std::int64_t rows(ValueId id) const { return values_.rows(id); }
  // Products of gate and up of a block, kFreshResults each.
  [[nodiscard]] float* products(int worker) const {
    return reinterpret_cast<float*>(products_.data()) + 2 * kFreshResults * worker;
  }

  // Calls f(block) for all rows and the columns [begin, end), a block that stays in the cache at a
  // time. `grain` divides begin.
  template <typename F>
  static void for_fresh_blocks(std::int64_t begin,
                               std::int64_t end,
                               std::int64_t row_count,
                               std::int64_t grain,
                               const F& f) {
    const std::int64_t rows = std::min(row_count, kBlockRows);
    const std::int64_t width = std::max(kFreshResults / rows / grain * grain, grain);
    const std::int64_t pass = round_up(std::max(kPassColumns, width), width);
    for (; begin < end; begin += pass) {
      const std::int64_t pass_end = std::min(begin + pass, end);
      for (std::int64_t row = 0; row < row_count; row += rows) {
        const std::int64_t row_end = std::min(row + rows, row_count);
        for (std::int64_t column = begin; column < pass_end; column += width) {
          f(Block{row, row_end, column, std::min(column + width, pass_end)});
        }
      }
    }
  }

  // Columns of a linear that are handed out together. Why more for many rows: each piece reads all
  // of its inputs again.
  [[nodiscard]] std::int64_t piece_columns(std::int64_t columns,
                                           std::int64_t work_per_column,
                                           std::int64_t row_count,
                                           std::int64_t grain) const {
    const std::int64_t least = grain_for(work_per_column, grain);
    if (row_count < kManyRows) return least;
    const std::int64_t share = columns / (4 * device_.thread_count());
    return std::max(least, std::min(share, kPieceColumns) / grain * grain);
  }

  [[nodiscard]] Columns columns_of(const LinearOp& op, const StoreKvOp* store) const;
  [[nodiscard]] device::NextRead weights_of(ValueId in, MatrixId id, const Columns& columns) const;
  void find_next_reads();
  void place_rows() noexcept;
  void compute_rotation(const Rope& rope, Rotation& rotation) noexcept;
  void prepare_input(ValueId in) noexcept;
  void prepare_rows(ValueId in, std::int64_t begin, std::int64_t end) const noexcept;
  [[nodiscard]] const std::byte* packed_input(const kernels::InputOps* ops) const noexcept;
  [[nodiscard]] kernels::PackedLinearArgs packed_args(ValueId in,
                                                      const LinearPart& part,
                                                      const Block& block,
                                                      const Results& out) const noexcept;
  void linear_part(ValueId in,
                   const LinearPart& part,
                   const Block& block,
                   const Results& out) const noexcept;
  [[nodiscard]] bool has_gated_kernel(const GatedLinearOp& op) const;
  void gated_part(const GatedLinearOp& op, const Block& block) const noexcept;
  [[nodiscard]] Results results(ValueId id) const { return {at(id), value(id).width}; }
  void finish_heads(const StoreKvOp& op,
                    ValueId id,
                    std::int64_t column_begin,
                    std::int64_t column_end,
                    std::int64_t row_begin,
                    std::int64_t row_end) const noexcept;
  // Heads of one row.
  void rotate(std::int32_t rope, std::int64_t row, float* heads, std::int64_t count) const noexcept;

  const Program& program_;
  const Constants& constants_;
  const Matrices& matrices_;
  device::CpuDevice& device_;
  const KernelTable& table_;
  const std::vector<OpFusion> fusions_;  // by operation

  MemoryLayout layout_;
  AnonymousMemory workspace_;
  AnonymousMemory products_;  // Shape: [workers][2][kFreshResults]
  StepValues values_;
  RowOps row_ops_;
  ExpertRunner experts_;
  AttentionRunner attention_;

  // First packed input of each operation, by index in matrices_.inputs(). Shape: [ops + 1]
  std::vector<std::size_t> first_input_;

  // About the current step. Sized at creation.
  const Step* step_ = nullptr;
  std::span<const float> hidden_;             // rows of the last step
  std::size_t op_ = 0;                        // index of the operation in progress
  std::vector<device::NextRead> next_reads_;  // by operation
  std::vector<std::int32_t> positions_;       // Shape: [tokens]
  std::vector<std::int32_t> segments_;        // Shape: [tokens]; 0 or 1
  // Block that holds the row's key, in layers without and with a window. Shape: [tokens]
  std::array<std::vector<std::uint32_t>, 2> row_blocks_;
  std::vector<Rotation> rotations_;  // by rope
};

Status Executor::Impl::allocate(const StepLimits& limits) {
  if (limits.token_count_max < 1 || limits.sequence_count_max < 1 ||
      limits.logit_row_count_max < 0) {
    return invalid_argument("a runner needs room for at least one token of one sequence");
  }
  layout_ =
      plan_memory(program_, matrices_.inputs(), limits.token_count_max, limits.logit_row_count_max);
  ASSIGN_OR_RETURN(workspace_,
                   AnonymousMemory::allocate(layout_.size,
                                             str("the workspace (",
                                                 limits.token_count_max,
                                                 " tokens a step, ",
                                                 limits.logit_row_count_max,
                                                 " rows of logits)")));
  ASSIGN_OR_RETURN(
      products_,
      AnonymousMemory::allocate(
          static_cast<std::size_t>(2 * kFreshResults * device_.thread_count()) * sizeof(float),
          "products of the workers"));
  values_.place(layout_, workspace_.data());
  RETURN_IF_ERROR(experts_.allocate(limits));
  RETURN_IF_ERROR(attention_.allocate(limits));

  for (std::size_t op = 0, input = 0; op <= program_.ops.size(); ++op) {
    while (input < matrices_.inputs().size() &&
           static_cast<std::size_t>(matrices_.inputs()[input].op) < op) {
      ++input;
    }
    first_input_.push_back(input);
  }
  find_next_reads();
  const auto tokens = static_cast<std::size_t>(limits.token_count_max);
  positions_.resize(tokens);
  segments_.resize(tokens);
  for (std::vector<std::uint32_t>& blocks : row_blocks_) blocks.resize(tokens);
  for (const Rope& rope : program_.ropes) {
    const std::size_t pairs = rope.inverse_frequencies.size();
    rotations_.push_back({static_cast<std::int64_t>(pairs),
                          std::vector<float>(tokens * pairs),
                          std::vector<float>(tokens * pairs)});
  }
  return ok_status();
}

std::span<float> Executor::Impl::run(const Step& step) noexcept {
  const device::CpuDevice::Turn turn(device_);
  step_ = &step;
  values_.set_step(&step);
  place_rows();
  attention_.plan(step);
  for (std::size_t i = 0; i < rotations_.size(); ++i) {
    compute_rotation(program_.ropes[i], rotations_[i]);
  }
  for (op_ = 0; op_ < program_.ops.size(); ++op_) {
    if (!fusions_[op_].absorbed) std::visit(*this, program_.ops[op_]);
  }
  step_ = nullptr;
  hidden_ = {};
  if (program_.hidden != kNone) {
    hidden_ = {at(program_.hidden, static_cast<std::int64_t>(step.logit_rows.size())),
               step.hidden_rows.size() * static_cast<std::size_t>(value(program_.hidden).width)};
  }
  if (program_.logits == kNone) return {};
  return {at(program_.logits),
          step.logit_rows.size() * static_cast<std::size_t>(value(program_.logits).width)};
}

void Executor::Impl::place_rows() noexcept {
  for (const SequenceSlice& slice : step_->sequences) {
    for (std::int32_t i = 0; i < slice.token_count; ++i) {
      const auto row = static_cast<std::size_t>(slice.token_begin + i);
      const std::int32_t position = slice.context_before + i;
      positions_[row] = position;
      segments_[row] = position >= slice.second_begin ? 1 : 0;
      for (const bool has_window : {false, true}) {
        row_blocks_[has_window ? 1 : 0][row] = slice.blocks_of(has_window)[position / kBlockSize];
      }
    }
  }
}

// Why in f32, product included: transformers computes the angles so, and at large positions the
// rounding of the product is visible in the logits.
void Executor::Impl::compute_rotation(const Rope& rope, Rotation& rotation) noexcept {
  const std::vector<float>& frequencies = rope.inverse_frequencies;
  const std::int64_t pairs = rotation.pairs;
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto position = static_cast<float>(positions_[static_cast<std::size_t>(row)]);
      float* cosines = rotation.cos.data() + row * pairs;
      float* sines = rotation.sin.data() + row * pairs;
      for (std::int64_t i = 0; i < pairs; ++i) {
        const float angle = position * frequencies[static_cast<std::size_t>(i)];
        cosines[i] = std::cos(angle) * rope.scale;
        sines[i] = std::sin(angle) * rope.scale;
      }
    }
  };
  // A sine and a cosine cost about as much as 200 multiply-adds of a linear.
  device_.parallel_for(
      static_cast<std::int64_t>(step_->token_ids.size()), grain_for(200 * pairs, 1), body);
}

// Makes the input of the linears in progress once for all of their parts: normed, if a norm runs
// with them, and packed in each way that they read it.
// Why rows in groups: packing takes them so. A step of one group, as decoding a few sequences is,
// is done by the caller alone, which takes it less time than a barrier.
void Executor::Impl::prepare_input(ValueId in) noexcept {
  constexpr std::int64_t kGroup = kernels::kInputRows;
  const NormOp* norm = fusions_[op_].norm;
  if (norm == nullptr && first_input_[op_] == first_input_[op_ + 1]) return;
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (; begin < end; begin += kGroup) prepare_rows(in, begin, std::min(begin + kGroup, end));
  };
  const std::int64_t work = (norm != nullptr ? 12 : 4) * value(in).width;
  device_.parallel_for(rows(in), grain_for(work, kGroup), body);
}

void Executor::Impl::prepare_rows(ValueId in, std::int64_t begin, std::int64_t end) const noexcept {
  const std::int64_t width = value(in).width;
  if (const NormOp* op = fusions_[op_].norm) {
    const std::int64_t stretches = width / op->norm.width;
    for (std::int64_t row = begin; row < end; ++row) {
      apply_norm(table_, constants_, op->norm, at(op->in, row), 0, stretches, at(in, row));
    }
  }
  for (std::size_t i = first_input_[op_]; i < first_input_[op_ + 1]; ++i) {
    std::byte* bytes = workspace_.data() + layout_.input_offsets[i];
    matrices_.inputs()[i].ops->pack(at(in), width, begin, end, width, bytes);
  }
}

const std::byte* Executor::Impl::packed_input(const kernels::InputOps* ops) const noexcept {
  std::size_t i = first_input_[op_];
  while (matrices_.inputs()[i].ops != ops) ++i;
  return workspace_.data() + layout_.input_offsets[i];
}

kernels::PackedLinearArgs Executor::Impl::packed_args(ValueId in,
                                                      const LinearPart& part,
                                                      const Block& block,
                                                      const Results& out) const noexcept {
  const Matrix& matrix = matrices_[part.matrix];
  const kernels::InputOps& inputs = *matrix.ops->inputs;
  kernels::PackedLinearArgs args;
  args.k = value(in).width;
  args.inputs = packed_input(&inputs) + inputs.size(block.row_begin, args.k);
  args.panels = matrix.data;
  args.bias = constants_.find(part.bias);
  args.y = out.data + block.row_begin * out.stride;
  args.m = block.row_end - block.row_begin;
  args.n_begin = block.begin;
  args.n_end = block.end;
  args.y_stride = out.stride;
  args.accumulate = part.accumulate;
  args.codebook = matrix.codebook;
  return args;
}

void Executor::Impl::linear_part(ValueId in,
                                 const LinearPart& part,
                                 const Block& block,
                                 const Results& out) const noexcept {
  const Matrix& matrix = matrices_[part.matrix];
  if (matrix.ops != nullptr) {
    matrix.ops->linear(packed_args(in, part, block, out));
    return;
  }
  kernels::LinearArgs args;
  args.k = value(in).width;
  args.x = at(in, block.row_begin);
  args.w = matrix.data;
  args.bias = constants_.find(part.bias);
  args.y = out.data + block.row_begin * out.stride;
  args.m = block.row_end - block.row_begin;
  args.n_begin = block.begin;
  args.n_end = block.end;
  args.x_stride = args.k;
  args.y_stride = out.stride;
  args.accumulate = part.accumulate;
  find_linear(table_, matrix.dtype)(args);
}

// Whole heads, where they are rotated and stored.
Columns Executor::Impl::columns_of(const LinearOp& op, const StoreKvOp* store) const {
  const std::int64_t grain =
      store == nullptr ? kColumnGrain : std::lcm(kColumnGrain, program_.attention.head_dim);
  std::int64_t count = 0;
  for (const LinearPart& part : op.parts) count += round_up(value(part.out).width, grain);
  return {count, grain};
}

// The weights of a linear's columns; not known unless they are packed. Why from the first part on:
// the matrices of an operation follow each other in the image.
device::NextRead Executor::Impl::weights_of(ValueId in, MatrixId id, const Columns& columns) const {
  const Matrix& matrix = matrices_[id];
  if (matrix.ops == nullptr) return {};
  const std::int64_t width = value(in).width;
  const auto panel_size = static_cast<std::int64_t>(matrix.ops->panel_size(width));
  return {matrix.data,
          panel_size / kernels::kPanelOutputs,
          columns.count,
          piece_columns(columns.count, width, 1, columns.grain)};
}

// For each operation, the weights of the linear that runs after it, as a step of one row hands them
// out; other steps begin a few columns from there.
void Executor::Impl::find_next_reads() {
  const std::size_t count = program_.ops.size();
  next_reads_.resize(count);
  device::NextRead next;
  // Twice, so that the last ones meet the first.
  for (std::size_t i = 2 * count; i-- > 0;) {
    const graph::Op& op = program_.ops[i % count];
    next_reads_[i % count] = next;
    if (const auto* linear = std::get_if<LinearOp>(&op)) {
      const Columns columns = columns_of(*linear, fusions_[i % count].store);
      next = weights_of(linear->in, linear->parts.front().matrix, columns);
    } else if (const auto* gated = std::get_if<GatedLinearOp>(&op)) {
      next = weights_of(gated->in, gated->gate.matrix, {value(gated->out).width, kColumnGrain});
    }
  }
}

void Executor::Impl::operator()(const LinearOp& op) noexcept {
  // The head reads more rows than it makes when hidden states are wanted as well.
  const std::int64_t row_count = rows(op.parts.front().out);
  if (rows(op.in) > 0) prepare_input(op.in);
  if (row_count == 0) return;
  const StoreKvOp* store = fusions_[op_].store;
  const Columns columns = columns_of(op, store);
  const std::int64_t grain = columns.grain;
  // The parts stand side by side, each from a whole number of grains on; a range of columns may
  // cover several.
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    std::int64_t part_begin = 0;
    for (const LinearPart& part : op.parts) {
      const std::int64_t width = value(part.out).width;
      const std::int64_t first = std::max(begin, part_begin) - part_begin;
      const std::int64_t last = std::min(end - part_begin, width);
      part_begin += round_up(width, grain);
      if (first >= last) continue;
      if (store == nullptr) {
        linear_part(op.in, part, {0, row_count, first, last}, results(part.out));
        continue;
      }
      for_fresh_blocks(first, last, row_count, grain, [&](const Block& block) {
        linear_part(op.in, part, block, results(part.out));
        finish_heads(*store, part.out, block.begin, block.end, block.row_begin, block.row_end);
      });
    }
  };
  device_.parallel_for(
      columns.count,
      piece_columns(columns.count, row_count * value(op.in).width, row_count, grain),
      body,
      next_reads_[op_]);
}

bool Executor::Impl::has_gated_kernel(const GatedLinearOp& op) const {
  const Matrix& gate = matrices_[op.gate.matrix];
  const Matrix& up = matrices_[op.up.matrix];
  return gate.ops != nullptr && gate.ops == up.ops && gate.codebook == up.codebook &&
         gate.ops->gated_linear != nullptr;
}

void Executor::Impl::gated_part(const GatedLinearOp& op, const Block& block) const noexcept {
  kernels::PackedGatedArgs args;
  args.gate = packed_args(op.in, op.gate, block, results(op.out));
  args.up_panels = matrices_[op.up.matrix].data;
  args.up_bias = constants_.find(op.up.bias);
  args.activation = op.activation;
  matrices_[op.gate.matrix].ops->gated_linear(args);
}

// Why the products of gate and up go to scratch memory where two kernels make them: written side by
// side in rows of the full width they would leave the cache before they are multiplied.
void Executor::Impl::operator()(const GatedLinearOp& op) noexcept {
  const std::int64_t row_count = rows(op.in);
  if (row_count == 0) return;
  prepare_input(op.in);
  const bool at_once = row_count >= kManyRows && has_gated_kernel(op);
  auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    if (at_once) return gated_part(op, {0, row_count, begin, end});
    for_fresh_blocks(begin, end, row_count, kColumnGrain, [&](const Block& block) {
      const std::int64_t width = block.end - block.begin;
      float* gate = products(worker);
      float* up = gate + kFreshResults;
      const std::int64_t origin = block.row_begin * width + block.begin;
      linear_part(op.in, op.gate, block, {gate - origin, width});
      linear_part(op.in, op.up, block, {up - origin, width});
      for (std::int64_t row = block.row_begin; row < block.row_end; ++row) {
        table_.activate(op.activation, gate, up, at(op.out, row) + block.begin, width);
        gate += width;
        up += width;
      }
    });
  };
  const std::int64_t columns = value(op.out).width;
  device_.parallel_for(
      columns,
      piece_columns(columns, 2 * row_count * value(op.in).width, row_count, kColumnGrain),
      body,
      next_reads_[op_]);
}

// Norms and rotates heads of q and k and stores those of k and v: columns and rows of one of these
// values.
void Executor::Impl::finish_heads(const StoreKvOp& op,
                                  ValueId id,
                                  std::int64_t column_begin,
                                  std::int64_t column_end,
                                  std::int64_t row_begin,
                                  std::int64_t row_end) const noexcept {
  const AttentionShape& shape = program_.attention;
  const std::int64_t head_begin = column_begin / shape.head_dim;
  const std::int64_t head_end = column_end / shape.head_dim;
  const Norm& norm = id == op.q ? op.q_norm : op.k_norm;
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    float* heads = at(id, row);
    if (id != op.v) {
      float* first = heads + column_begin;
      if (norm.width > 0) {
        const std::int64_t stretch = column_begin / norm.width;
        const std::int64_t stretches = (column_end - column_begin) / norm.width;
        apply_norm(table_, constants_, norm, first, stretch, stretches, first);
      }
      if (op.rope != kNone) rotate(op.rope, row, first, head_end - head_begin);
    }
    if (id == op.q) continue;
    const auto& blocks = row_blocks_[attention_.has_window(op.layer) ? 1 : 0];
    const std::int64_t block = blocks[static_cast<std::size_t>(row)];
    const std::int64_t slot = positions_[static_cast<std::size_t>(row)] % kBlockSize;
    const KvCache::Plane plane = id == op.k ? KvCache::Plane::kKeys : KvCache::Plane::kValues;
    attention_.store(op.layer, plane, {block, slot}, head_begin, head_end, heads);
  }
}

void Executor::Impl::rotate(std::int32_t rope,
                            std::int64_t row,
                            float* heads,
                            std::int64_t count) const noexcept {
  const Rotation& rotation = rotations_[static_cast<std::size_t>(rope)];
  const bool adjacent = program_.ropes[static_cast<std::size_t>(rope)].adjacent;
  const auto kernel = adjacent ? table_.rope_adjacent : table_.rope;
  kernel(heads,
         rotation.cos.data() + row * rotation.pairs,
         rotation.sin.data() + row * rotation.pairs,
         count,
         program_.attention.head_dim,
         2 * rotation.pairs);
}

void Executor::Impl::operator()(const StoreKvOp& op) noexcept {
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (const ValueId id : {op.q, op.k, op.v}) {
      if (id == kNone) continue;
      finish_heads(op, id, 0, value(id).width, begin, end);
    }
  };
  device_.parallel_for(rows(op.q), grain_for(8 * value(op.q).width, 1), body);
}

void Executor::Impl::operator()(const AttentionOp& op) noexcept {
  attention_.attend(op, at(op.q), at(op.out));
}

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;

Result<std::unique_ptr<Executor>> Executor::create(const Program& program,
                                                   const Constants& constants,
                                                   const Matrices& matrices,
                                                   device::CpuDevice& device,
                                                   const StepLimits& limits) {
  auto impl = std::make_unique<Impl>(program, constants, matrices, device);
  RETURN_IF_ERROR(impl->allocate(limits));
  return std::unique_ptr<Executor>(new Executor(std::move(impl)));
}

std::span<float> Executor::run(const Step& step) noexcept { return impl_->run(step); }
void Executor::resize_cache(std::int32_t block_count) noexcept { impl_->resize_cache(block_count); }
std::span<const float> Executor::hidden() const noexcept { return impl_->hidden(); }

}  // namespace inferneo::graph
