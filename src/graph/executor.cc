#include "graph/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "graph/attention_runner.h"

namespace inferneo::graph {
namespace {

using kernels::Bf16;
using kernels::F16;
using kernels::KernelTable;
using tensor::DType;

constexpr std::int64_t kBlockSize = limits::kKvBlockSizeTokens;

// Multiply-adds below which handing work to another thread costs more than it saves: a section
// costs about 2 us, and one core needs 4 us to read that many bf16 weights.
constexpr std::int64_t kSectionWorkMin = 1 << 15;
// Output columns are handed out in multiples of this: whole cache lines of results, whole tiles.
constexpr std::int64_t kColumnGrain = 64;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Items of a section such that each piece is worth a thread.
std::int64_t grain_for(std::int64_t work_per_item, std::int64_t multiple) {
  const std::int64_t items = kSectionWorkMin / std::max<std::int64_t>(work_per_item, 1);
  return round_up(std::max<std::int64_t>(items, 1), multiple);
}

}  // namespace

class Executor::Impl {
 public:
  Impl(const Program& program, const Constants& constants, device::CpuDevice& device)
      : program_(program),
        constants_(constants),
        device_(device),
        table_(device.kernels()),
        attention_(program, device) {}

  Status allocate(const StepLimits& limits);
  std::span<float> run(const Step& step) noexcept;

  void operator()(const EmbedOp& op) noexcept;
  void operator()(const RmsNormOp& op) noexcept;
  void operator()(const LinearOp& op) noexcept;
  void operator()(const GatedLinearOp& op) noexcept;
  void operator()(const StoreKvOp& op) noexcept;
  void operator()(const AttentionOp& op) noexcept;
  void operator()(const GatherRowsOp& op) noexcept;

 private:
  [[nodiscard]] const Value& value(ValueId id) const {
    return program_.values[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] float* at(ValueId id, std::int64_t row = 0) const {
    std::byte* base = workspace_.data() + layout_.offsets[static_cast<std::size_t>(id)];
    return reinterpret_cast<float*>(base) + row * value(id).width;
  }
  [[nodiscard]] std::int64_t rows(ValueId id) const {
    return static_cast<std::int64_t>(value(id).rows == Rows::kTokens ? step_->token_ids.size()
                                                                     : step_->logit_rows.size());
  }

  void place_rows() noexcept;
  void compute_rotation() noexcept;
  const float* pack(ValueId in, ValueId packed) noexcept;
  void linear_part(ValueId in,
                   const float* packed,
                   const LinearPart& part,
                   std::int64_t begin,
                   std::int64_t end) const noexcept;
  void store_row(const StoreKvOp& op, std::int64_t row) const noexcept;

  const Program& program_;
  const Constants& constants_;
  device::CpuDevice& device_;
  const KernelTable& table_;

  MemoryLayout layout_;
  AnonymousMemory workspace_;
  AttentionRunner attention_;

  // About the current step. Sized at creation.
  const Step* step_ = nullptr;
  std::vector<std::int32_t> positions_;    // Shape: [tokens]
  std::vector<std::uint32_t> row_blocks_;  // Shape: [tokens]; block that holds the row's key
  std::vector<float> cos_;                 // Shape: [tokens][rotary_dim / 2]
  std::vector<float> sin_;
};

Status Executor::Impl::allocate(const StepLimits& limits) {
  if (limits.token_count_max < 1 || limits.sequence_count_max < 1 ||
      limits.logit_row_count_max < 0) {
    return invalid_argument("a runner needs room for at least one token of one sequence");
  }
  layout_ = plan_memory(program_, limits.token_count_max, limits.logit_row_count_max);
  ASSIGN_OR_RETURN(workspace_,
                   AnonymousMemory::allocate(layout_.size,
                                             str("the workspace (",
                                                 limits.token_count_max,
                                                 " tokens a step, ",
                                                 limits.logit_row_count_max,
                                                 " rows of logits)")));
  RETURN_IF_ERROR(attention_.allocate(limits));

  const auto tokens = static_cast<std::size_t>(limits.token_count_max);
  const std::size_t pairs = program_.rope.inverse_frequencies.size();
  positions_.resize(tokens);
  row_blocks_.resize(tokens);
  cos_.resize(tokens * pairs);
  sin_.resize(tokens * pairs);
  return ok_status();
}

std::span<float> Executor::Impl::run(const Step& step) noexcept {
  step_ = &step;
  place_rows();
  attention_.plan(step);
  compute_rotation();
  for (const Op& op : program_.ops) std::visit(*this, op);
  step_ = nullptr;
  return {at(program_.logits),
          step.logit_rows.size() * static_cast<std::size_t>(value(program_.logits).width)};
}

void Executor::Impl::place_rows() noexcept {
  for (const SequenceSlice& slice : step_->sequences) {
    for (std::int32_t i = 0; i < slice.token_count; ++i) {
      const auto row = static_cast<std::size_t>(slice.token_begin + i);
      const std::int32_t position = slice.context_before + i;
      positions_[row] = position;
      row_blocks_[row] = slice.blocks[position / kBlockSize];
    }
  }
}

// Why in f32, product included: transformers computes the angles so, and at large positions the
// rounding of the product is visible in the logits.
void Executor::Impl::compute_rotation() noexcept {
  const std::vector<float>& frequencies = program_.rope.inverse_frequencies;
  const auto pairs = static_cast<std::int64_t>(frequencies.size());
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto position = static_cast<float>(positions_[static_cast<std::size_t>(row)]);
      float* cosines = cos_.data() + row * pairs;
      float* sines = sin_.data() + row * pairs;
      for (std::int64_t i = 0; i < pairs; ++i) {
        const float angle = position * frequencies[static_cast<std::size_t>(i)];
        cosines[i] = std::cos(angle) * program_.rope.scale;
        sines[i] = std::sin(angle) * program_.rope.scale;
      }
    }
  };
  // A sine and a cosine cost about as much as 200 multiply-adds of a linear.
  device_.parallel_for(
      static_cast<std::int64_t>(step_->token_ids.size()), grain_for(200 * pairs, 1), body);
}

void Executor::Impl::operator()(const EmbedOp& op) noexcept {
  const std::int64_t width = value(op.out).width;
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t id = step_->token_ids[static_cast<std::size_t>(row)];
      const std::byte* source =
          op.table.data + static_cast<std::size_t>(id * width) * dtype_size(op.table.dtype);
      float* out = at(op.out, row);
      switch (op.table.dtype) {
        case DType::kBf16:
          table_.bf16_to_f32(reinterpret_cast<const Bf16*>(source), out, width);
          break;
        case DType::kF16:
          table_.f16_to_f32(reinterpret_cast<const F16*>(source), out, width);
          break;
        default:
          std::memcpy(out, source, static_cast<std::size_t>(width) * sizeof(float));
      }
    }
  };
  device_.parallel_for(rows(op.out), grain_for(4 * width, 1), body);
}

void Executor::Impl::operator()(const RmsNormOp& op) noexcept {
  const std::int64_t width = value(op.in).width;
  const float* weight = constants_.find(op.weight);
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) {
      table_.rms_norm(at(op.in, row), weight, op.eps, at(op.out, row), width);
    }
  };
  device_.parallel_for(rows(op.in), grain_for(8 * width, 1), body);
}

// Packs the input of linears once for all of their parts. Null when this table does not want that.
const float* Executor::Impl::pack(ValueId in, ValueId packed) noexcept {
  if (packed == kNone || table_.pack_activations == nullptr) return nullptr;
  const std::int64_t width = value(in).width;
  const std::int64_t row_count = rows(in);
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    table_.pack_activations(at(in), width, begin, end, width, at(packed));
  };
  device_.parallel_for(row_count, grain_for(4 * width, kernels::kPackRows), body);
  return at(packed);
}

void Executor::Impl::linear_part(ValueId in,
                                 const float* packed,
                                 const LinearPart& part,
                                 std::int64_t begin,
                                 std::int64_t end) const noexcept {
  const Value& source = value(in);
  kernels::LinearArgs args;
  args.x = at(in);
  args.w = part.weight.data;
  args.bias = constants_.find(part.bias);
  args.y = at(part.out);
  args.m = rows(in);
  args.n_begin = begin;
  args.n_end = end;
  args.k = source.width;
  args.x_stride = source.width;
  args.y_stride = value(part.out).width;
  args.accumulate = part.accumulate;
  args.packed = packed;
  switch (part.weight.dtype) {
    case DType::kBf16:
      (program_.arithmetic.bf16_pairs ? table_.linear_bf16x2_bf16 : table_.linear_f32_bf16)(args);
      break;
    case DType::kF16:
      table_.linear_f32_f16(args);
      break;
    default:
      table_.linear_f32_f32(args);
  }
}

void Executor::Impl::operator()(const LinearOp& op) noexcept {
  if (rows(op.in) == 0) return;
  const float* packed = pack(op.in, op.packed);
  std::int64_t columns = 0;
  for (const LinearPart& part : op.parts) columns += value(part.out).width;
  // The parts stand side by side; a range of columns may cover several.
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    std::int64_t part_begin = 0;
    for (const LinearPart& part : op.parts) {
      const std::int64_t part_end = part_begin + value(part.out).width;
      const std::int64_t first = std::max(begin, part_begin);
      const std::int64_t last = std::min(end, part_end);
      if (first < last) linear_part(op.in, packed, part, first - part_begin, last - part_begin);
      part_begin = part_end;
    }
  };
  device_.parallel_for(columns, grain_for(rows(op.in) * value(op.in).width, kColumnGrain), body);
}

void Executor::Impl::operator()(const GatedLinearOp& op) noexcept {
  const std::int64_t width = value(op.out).width;
  const float* packed = pack(op.in, op.packed);
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    linear_part(op.in, packed, op.gate, begin, end);
    linear_part(op.in, packed, op.up, begin, end);
    for (std::int64_t row = 0; row < rows(op.in); ++row) {
      table_.silu_mul(at(op.gate.out, row) + begin,
                      at(op.up.out, row) + begin,
                      at(op.out, row) + begin,
                      end - begin);
    }
  };
  device_.parallel_for(width, grain_for(2 * rows(op.in) * value(op.in).width, kColumnGrain), body);
}

void Executor::Impl::store_row(const StoreKvOp& op, std::int64_t row) const noexcept {
  const AttentionShape& shape = program_.attention;
  const auto pairs = static_cast<std::int64_t>(program_.rope.inverse_frequencies.size());
  const float* cosines = cos_.data() + row * pairs;
  const float* sines = sin_.data() + row * pairs;
  const auto rotate = program_.rope.adjacent ? table_.rope_adjacent : table_.rope;
  rotate(at(op.q, row), cosines, sines, shape.heads, shape.head_dim, 2 * pairs);
  rotate(at(op.k, row), cosines, sines, shape.kv_heads, shape.head_dim, 2 * pairs);
  const std::int64_t block = row_blocks_[static_cast<std::size_t>(row)];
  const std::int64_t slot = positions_[static_cast<std::size_t>(row)] % kBlockSize;
  attention_.store(op.layer, block, slot, at(op.k, row), at(op.v, row));
}

void Executor::Impl::operator()(const StoreKvOp& op) noexcept {
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) store_row(op, row);
  };
  device_.parallel_for(rows(op.q), grain_for(8 * value(op.q).width, 1), body);
}

void Executor::Impl::operator()(const AttentionOp& op) noexcept {
  attention_.attend(op, at(op.q), at(op.out));
}

void Executor::Impl::operator()(const GatherRowsOp& op) noexcept {
  const std::size_t size = static_cast<std::size_t>(value(op.in).width) * sizeof(float);
  for (std::size_t i = 0; i < step_->logit_rows.size(); ++i) {
    std::memcpy(at(op.out, static_cast<std::int64_t>(i)), at(op.in, step_->logit_rows[i]), size);
  }
}

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;

Result<std::unique_ptr<Executor>> Executor::create(const Program& program,
                                                   const Constants& constants,
                                                   device::CpuDevice& device,
                                                   const StepLimits& limits) {
  auto impl = std::make_unique<Impl>(program, constants, device);
  RETURN_IF_ERROR(impl->allocate(limits));
  return std::unique_ptr<Executor>(new Executor(std::move(impl)));
}

std::span<float> Executor::run(const Step& step) noexcept { return impl_->run(step); }

}  // namespace inferneo::graph
