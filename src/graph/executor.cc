#include "graph/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "graph/fusion.h"
#include "graph/kv_cache.h"
#include "graph/memory_planner.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::graph {
namespace {

using kernels::F16;
using kernels::KernelTable;
using tensor::DType;

constexpr std::int64_t kBlockSize = limits::kKvBlockSizeTokens;

// Multiply-adds below which handing work to another thread costs more than it saves: a section
// costs about 2 us, and one core needs 4 us to read that many bf16 weights.
constexpr std::int64_t kSectionWorkMin = 1 << 15;
// Output columns are handed out in multiples of this: whole cache lines of results, and two panels
// of a packed matrix, which kernels take side by side.
constexpr std::int64_t kColumnGrain = 2 * kernels::kPanelOutputs;
// Results of a linear that are worked on further at once, while they are in the cache: 128 KiB.
constexpr std::int64_t kFreshResults = 1 << 15;
// Query rows of one attention item: enough to reuse each key, few enough to balance threads.
constexpr std::int32_t kQueryTile = 32;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Items of a section such that each piece is worth a thread.
std::int64_t grain_for(std::int64_t work_per_item, std::int64_t multiple) {
  const std::int64_t items = kSectionWorkMin / std::max<std::int64_t>(work_per_item, 1);
  return round_up(std::max<std::int64_t>(items, 1), multiple);
}

struct QueryTile {
  std::int32_t sequence = 0;
  std::int32_t row_begin = 0;  // within the sequence's slice
  std::int32_t row_end = 0;
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
        fusions_(find_fusions(program)) {}

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
  [[nodiscard]] float* scratch(int worker) const {
    return reinterpret_cast<float*>(scratch_.data()) + scratch_stride_ * worker;
  }

  // Calls f(first, last) for the columns [begin, end) of results of this many rows, a block that
  // stays in the cache at a time. `grain` divides begin.
  template <typename F>
  static void for_fresh_columns(std::int64_t begin,
                                std::int64_t end,
                                std::int64_t row_count,
                                std::int64_t grain,
                                const F& f) {
    const std::int64_t block = std::max(kFreshResults / row_count / grain * grain, grain);
    for (; begin < end; begin += block) f(begin, std::min(begin + block, end));
  }

  void place_rows() noexcept;
  void cut_query_tiles() noexcept;
  void compute_rotation() noexcept;
  const float* prepare_input(ValueId in, ValueId packed) noexcept;
  void prepare_rows(ValueId in, float* packed, std::int64_t begin, std::int64_t end) const noexcept;
  [[nodiscard]] const std::byte* packed_input(const kernels::InputOps* ops) const noexcept;
  void packed_part(ValueId in,
                   const Matrix& matrix,
                   const LinearPart& part,
                   std::int64_t begin,
                   std::int64_t end) const noexcept;
  void linear_part(ValueId in,
                   const float* packed,
                   const LinearPart& part,
                   std::int64_t begin,
                   std::int64_t end) const noexcept;
  void finish_heads(const StoreKvOp& op,
                    ValueId id,
                    std::int64_t column_begin,
                    std::int64_t column_end,
                    std::int64_t row_begin,
                    std::int64_t row_end) const noexcept;
  void store_head(std::byte* plane, std::int64_t element, const float* source) const noexcept;
  void attend(const AttentionOp& op,
              const QueryTile& tile,
              std::int32_t kv_head,
              int worker) const noexcept;

  const Program& program_;
  const Constants& constants_;
  const Matrices& matrices_;
  device::CpuDevice& device_;
  const KernelTable& table_;
  const std::vector<OpFusion> fusions_;  // by operation

  MemoryLayout layout_;
  AnonymousMemory workspace_;
  AnonymousMemory scratch_;  // Shape: [workers][scratch_stride_] floats
  std::int64_t scratch_stride_ = 0;
  KvCache cache_;

  // First packed input of each operation, by index in matrices_.inputs(). Shape: [ops + 1]
  std::vector<std::size_t> first_input_;

  // About the current step. Sized at creation.
  const Step* step_ = nullptr;
  std::size_t op_ = 0;                     // index of the operation in progress
  std::vector<std::int32_t> positions_;    // Shape: [tokens]
  std::vector<std::uint32_t> row_blocks_;  // Shape: [tokens]; block that holds the row's key
  std::vector<float> cos_;                 // Shape: [tokens][rotary_dim / 2]
  std::vector<float> sin_;
  std::vector<QueryTile> tiles_;
  std::int64_t tile_count_ = 0;
  std::int64_t score_count_ = 0;  // query-key pairs of one head
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
  const AttentionShape& shape = program_.attention;
  const auto head_dim = static_cast<std::int32_t>(shape.head_dim);
  const auto group = static_cast<std::int32_t>(shape.heads / shape.kv_heads);
  scratch_stride_ = kernels::attention_scratch_floats(head_dim, group);
  scratch_stride_ = round_up(scratch_stride_, 16);
  ASSIGN_OR_RETURN(
      scratch_,
      AnonymousMemory::allocate(
          static_cast<std::size_t>(scratch_stride_ * device_.thread_count()) * sizeof(float),
          "scratch memory of the workers"));
  ASSIGN_OR_RETURN(cache_, KvCache::allocate(program_, limits.kv_block_count));

  for (std::size_t op = 0, input = 0; op <= program_.ops.size(); ++op) {
    while (input < matrices_.inputs().size() &&
           static_cast<std::size_t>(matrices_.inputs()[input].op) < op) {
      ++input;
    }
    first_input_.push_back(input);
  }
  const auto tokens = static_cast<std::size_t>(limits.token_count_max);
  const std::size_t pairs = program_.rope.inverse_frequencies.size();
  positions_.resize(tokens);
  row_blocks_.resize(tokens);
  cos_.resize(tokens * pairs);
  sin_.resize(tokens * pairs);
  tiles_.resize(tokens / kQueryTile + static_cast<std::size_t>(limits.sequence_count_max));
  return ok_status();
}

std::span<float> Executor::Impl::run(const Step& step) noexcept {
  const device::CpuDevice::Turn turn(device_);
  step_ = &step;
  place_rows();
  cut_query_tiles();
  compute_rotation();
  for (op_ = 0; op_ < program_.ops.size(); ++op_) {
    if (!fusions_[op_].absorbed) std::visit(*this, program_.ops[op_]);
  }
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

void Executor::Impl::cut_query_tiles() noexcept {
  tile_count_ = 0;
  score_count_ = 0;
  for (std::size_t s = 0; s < step_->sequences.size(); ++s) {
    const SequenceSlice& slice = step_->sequences[s];
    score_count_ +=
        static_cast<std::int64_t>(slice.token_count) * (slice.context_before + slice.token_count);
    for (std::int32_t begin = 0; begin < slice.token_count; begin += kQueryTile) {
      DCHECK(tile_count_ < static_cast<std::int64_t>(tiles_.size()));
      tiles_[static_cast<std::size_t>(tile_count_++)] = {
          static_cast<std::int32_t>(s), begin, std::min(begin + kQueryTile, slice.token_count)};
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
  const std::size_t stride =
      static_cast<std::size_t>(width / dtype_block_elements(op.table.dtype)) *
      dtype_block_size(op.table.dtype);
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t id = step_->token_ids[static_cast<std::size_t>(row)];
      tensor::dequantize_row(op.table.dtype,
                             op.table.data + static_cast<std::size_t>(id) * stride,
                             width,
                             at(op.out, row));
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

// Makes the input of the linears in progress once for all of their parts: normed, if a norm runs
// with them, and packed in each way that they read it. Returns the pairs of bf16 where this table
// wants them, or null.
// Why rows in groups: packing takes them so. A step of one group, as decoding a few sequences is,
// is done by the caller alone, which takes it less time than a barrier.
const float* Executor::Impl::prepare_input(ValueId in, ValueId packed) noexcept {
  constexpr std::int64_t kGroup = kernels::kInputRows;
  static_assert(kGroup == kernels::kPackRows);
  const RmsNormOp* norm = fusions_[op_].norm;
  float* pairs = packed == kNone || table_.pack_activations == nullptr ? nullptr : at(packed);
  const bool packs = pairs != nullptr || first_input_[op_] < first_input_[op_ + 1];
  if (!packs && norm == nullptr) return nullptr;
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (; begin < end; begin += kGroup) {
      prepare_rows(in, pairs, begin, std::min(begin + kGroup, end));
    }
  };
  const std::int64_t work = (norm != nullptr ? 12 : 4) * value(in).width;
  device_.parallel_for(rows(in), grain_for(work, kGroup), body);
  return pairs;
}

void Executor::Impl::prepare_rows(ValueId in,
                                  float* packed,
                                  std::int64_t begin,
                                  std::int64_t end) const noexcept {
  const std::int64_t width = value(in).width;
  if (const RmsNormOp* norm = fusions_[op_].norm) {
    const float* weight = constants_.find(norm->weight);
    for (std::int64_t row = begin; row < end; ++row) {
      table_.rms_norm(at(norm->in, row), weight, norm->eps, at(in, row), width);
    }
  }
  if (packed != nullptr) table_.pack_activations(at(in), width, begin, end, width, packed);
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

void Executor::Impl::packed_part(ValueId in,
                                 const Matrix& matrix,
                                 const LinearPart& part,
                                 std::int64_t begin,
                                 std::int64_t end) const noexcept {
  kernels::PackedLinearArgs args;
  args.inputs = packed_input(matrix.ops->inputs);
  args.panels = matrix.data;
  args.bias = constants_.find(part.bias);
  args.y = at(part.out);
  args.m = rows(in);
  args.n_begin = begin;
  args.n_end = end;
  args.k = value(in).width;
  args.y_stride = value(part.out).width;
  args.accumulate = part.accumulate;
  args.codebook = matrix.codebook;
  matrix.ops->linear(args);
}

void Executor::Impl::linear_part(ValueId in,
                                 const float* packed,
                                 const LinearPart& part,
                                 std::int64_t begin,
                                 std::int64_t end) const noexcept {
  const Matrix& matrix = matrices_[part.matrix];
  if (matrix.ops != nullptr) {
    packed_part(in, matrix, part, begin, end);
    return;
  }
  const Value& source = value(in);
  kernels::LinearArgs args;
  args.x = at(in);
  args.w = matrix.data;
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
  switch (matrix.dtype) {
    case DType::kBf16:
      (program_.arithmetic.packed ? table_.linear_bf16x2_bf16 : table_.linear_f32_bf16)(args);
      break;
    case DType::kF16:
      table_.linear_f32_f16(args);
      break;
    default:
      table_.linear_f32_f32(args);
  }
}

void Executor::Impl::operator()(const LinearOp& op) noexcept {
  const std::int64_t row_count = rows(op.in);
  if (row_count == 0) return;
  const float* packed = prepare_input(op.in, op.packed);
  const StoreKvOp* store = fusions_[op_].store;
  // Whole heads, where they are rotated.
  const std::int64_t grain =
      store == nullptr ? kColumnGrain : std::lcm(kColumnGrain, program_.attention.head_dim);
  std::int64_t columns = 0;
  for (const LinearPart& part : op.parts) columns += round_up(value(part.out).width, grain);
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
        linear_part(op.in, packed, part, first, last);
        continue;
      }
      for_fresh_columns(first, last, row_count, grain, [&](std::int64_t from, std::int64_t to) {
        linear_part(op.in, packed, part, from, to);
        finish_heads(*store, part.out, from, to, 0, row_count);
      });
    }
  };
  device_.parallel_for(columns, grain_for(row_count * value(op.in).width, grain), body);
}

void Executor::Impl::operator()(const GatedLinearOp& op) noexcept {
  const std::int64_t row_count = rows(op.in);
  if (row_count == 0) return;
  const float* packed = prepare_input(op.in, op.packed);
  const auto block = [&](std::int64_t from, std::int64_t to) noexcept {
    linear_part(op.in, packed, op.gate, from, to);
    linear_part(op.in, packed, op.up, from, to);
    for (std::int64_t row = 0; row < row_count; ++row) {
      table_.silu_mul(at(op.gate.out, row) + from,
                      at(op.up.out, row) + from,
                      at(op.out, row) + from,
                      to - from);
    }
  };
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for_fresh_columns(begin, end, row_count, kColumnGrain, block);
  };
  device_.parallel_for(
      value(op.out).width, grain_for(2 * row_count * value(op.in).width, kColumnGrain), body);
}

void Executor::Impl::store_head(std::byte* plane,
                                std::int64_t element,
                                const float* source) const noexcept {
  const std::int64_t head_dim = program_.attention.head_dim;
  if (program_.arithmetic.kv == DType::kF16) {
    table_.f32_to_f16(source, reinterpret_cast<F16*>(plane) + element, head_dim);
  } else {
    std::memcpy(reinterpret_cast<float*>(plane) + element,
                source,
                static_cast<std::size_t>(head_dim) * sizeof(float));
  }
}

// Rotates heads of q and k and stores those of k and v: columns and rows of one of these values.
void Executor::Impl::finish_heads(const StoreKvOp& op,
                                  ValueId id,
                                  std::int64_t column_begin,
                                  std::int64_t column_end,
                                  std::int64_t row_begin,
                                  std::int64_t row_end) const noexcept {
  const AttentionShape& shape = program_.attention;
  const auto pairs = static_cast<std::int64_t>(program_.rope.inverse_frequencies.size());
  const std::int64_t head_begin = column_begin / shape.head_dim;
  const std::int64_t head_end = column_end / shape.head_dim;
  const auto rotate = program_.rope.adjacent ? table_.rope_adjacent : table_.rope;
  std::byte* plane = nullptr;
  if (id == op.k) plane = cache_.keys(op.layer);
  if (id == op.v) plane = cache_.values(op.layer);
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    float* heads = at(id, row);
    if (id != op.v) {
      rotate(heads + column_begin,
             cos_.data() + row * pairs,
             sin_.data() + row * pairs,
             head_end - head_begin,
             shape.head_dim,
             2 * pairs);
    }
    if (plane == nullptr) continue;
    const std::int64_t block = row_blocks_[static_cast<std::size_t>(row)];
    const std::int64_t slot = positions_[static_cast<std::size_t>(row)] % kBlockSize;
    for (std::int64_t head = head_begin; head < head_end; ++head) {
      const std::int64_t element =
          ((block * shape.kv_heads + head) * kBlockSize + slot) * shape.head_dim;
      store_head(plane, element, heads + head * shape.head_dim);
    }
  }
}

void Executor::Impl::operator()(const StoreKvOp& op) noexcept {
  auto body = [&](std::int64_t begin, std::int64_t end, int) noexcept {
    for (const ValueId id : {op.q, op.k, op.v}) {
      finish_heads(op, id, 0, value(id).width, begin, end);
    }
  };
  device_.parallel_for(rows(op.q), grain_for(8 * value(op.q).width, 1), body);
}

void Executor::Impl::attend(const AttentionOp& op,
                            const QueryTile& tile,
                            std::int32_t kv_head,
                            int worker) const noexcept {
  const AttentionShape& shape = program_.attention;
  const SequenceSlice& slice = step_->sequences[static_cast<std::size_t>(tile.sequence)];
  kernels::AttentionArgs args;
  args.q = at(op.q, slice.token_begin);
  args.k_cache = cache_.keys(op.layer);
  args.v_cache = cache_.values(op.layer);
  args.blocks = slice.blocks;
  args.out = at(op.out, slice.token_begin);
  args.q_stride = value(op.q).width;
  args.out_stride = value(op.out).width;
  args.row_begin = tile.row_begin;
  args.row_end = tile.row_end;
  args.context_before = slice.context_before;
  args.kv_head = kv_head;
  args.kv_heads = static_cast<std::int32_t>(shape.kv_heads);
  args.group = static_cast<std::int32_t>(shape.heads / shape.kv_heads);
  args.head_dim = static_cast<std::int32_t>(shape.head_dim);
  args.block_size = static_cast<std::int32_t>(kBlockSize);
  args.scale = op.scale;
  args.scratch = scratch(worker);
  const bool halves = program_.arithmetic.kv == DType::kF16;
  (halves ? table_.attention_f16 : table_.attention_f32)(args);
}

void Executor::Impl::operator()(const AttentionOp& op) noexcept {
  const AttentionShape& shape = program_.attention;
  const std::int64_t items = tile_count_ * shape.kv_heads;
  auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    for (std::int64_t item = begin; item < end; ++item) {
      attend(op,
             tiles_[static_cast<std::size_t>(item / shape.kv_heads)],
             static_cast<std::int32_t>(item % shape.kv_heads),
             worker);
    }
  };
  // Two products of head_dim for each pair; vectors there are shorter than in a linear.
  const std::int64_t work = 4 * score_count_ * shape.heads * shape.head_dim;
  device_.parallel_for(items, grain_for(work / std::max<std::int64_t>(items, 1), 1), body);
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
                                                   const Matrices& matrices,
                                                   device::CpuDevice& device,
                                                   const StepLimits& limits) {
  auto impl = std::make_unique<Impl>(program, constants, matrices, device);
  RETURN_IF_ERROR(impl->allocate(limits));
  return std::unique_ptr<Executor>(new Executor(std::move(impl)));
}

std::span<float> Executor::run(const Step& step) noexcept { return impl_->run(step); }

}  // namespace inferneo::graph
