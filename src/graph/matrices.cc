#include "graph/matrices.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "tensor/quant/mxfp4.h"
#include "tensor/quant/quant_format.h"

namespace inferneo::graph {
namespace {

using kernels::kPanelOutputs;
using kernels::MatrixFormat;
using kernels::MatrixOps;
using tensor::DType;
using tensor::QuantFormat;
using tensor::TensorView;
using Form = MatrixPlan::Form;

constexpr std::uint64_t kAlignment = 64;
// Panels handed to a thread at once: as many as one item of a linear covers (kColumnGrain).
constexpr std::int64_t kPanelGrain = 2;

template <typename T>
T round_up(T value, T multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::int64_t panel_count(const TensorView& view) {
  return (view.shape[0] + kPanelOutputs - 1) / kPanelOutputs;
}

// Empty for f32, which is never packed.
std::optional<MatrixFormat> format_of(DType dtype, bool rounds_inputs) {
  if (dtype == DType::kF16) return MatrixFormat{.kind = MatrixFormat::Kind::kF16};
  if (dtype == DType::kBf16) {
    return MatrixFormat{.kind = MatrixFormat::Kind::kBf16, .rounds_inputs = rounds_inputs};
  }
  const QuantFormat* quant = tensor::find_quant_format(tensor::dtype_of_blocks(dtype));
  if (quant == nullptr) return std::nullopt;
  return MatrixFormat{.kind = MatrixFormat::Kind::kCodes,
                      .bits = static_cast<std::int8_t>(quant->bits),
                      .group = static_cast<std::int8_t>(quant->group),
                      .has_min = quant->has_min,
                      .codebook = quant->codebook};
}

MatrixPlan plan_matrix(const MatrixSource& source,
                       bool packed,
                       bool rounds_inputs,
                       const kernels::KernelTable& table) {
  const TensorView& view = source.view;
  MatrixPlan plan;
  const MatrixOps* ops = packed ? find_matrix_ops(table, view.dtype, rounds_inputs) : nullptr;
  const bool has_panels = ops != nullptr && ops->pack_panel != nullptr;
  if (has_panels || (ops != nullptr && source.is_plain())) {
    plan.ops = ops;
    plan.format = *format_of(view.dtype, rounds_inputs);
  }
  if (has_panels) {
    plan.form = Form::kPacked;
    plan.size = static_cast<std::uint64_t>(panel_count(view)) * plan.ops->panel_size(view.shape[1]);
  } else if (tensor::is_quantized(view.dtype) || !source.is_plain()) {
    plan.form = Form::kConverted;
    plan.size = static_cast<std::uint64_t>(view.shape.element_count()) * sizeof(float);
  }
  return plan;
}

// Blocks of the tensor before a row.
std::int64_t blocks_before(const MatrixSource& source, std::int64_t row) {
  const TensorView& view = source.view;
  const std::int64_t stride = source.is_plain() ? view.shape[1] : source.row_stride;
  return row * stride / tensor::dtype_block_elements(view.dtype);
}

const std::byte* row_of(const MatrixSource& source, std::int64_t row) {
  const TensorView& view = source.view;
  return view.data + static_cast<std::size_t>(blocks_before(source, row)) *
                         tensor::dtype_block_size(view.dtype);
}

// The blocks of a row in the layout of their QuantFormat. Scratch: bytes of such a row, where the
// scales lie apart.
const std::byte* whole_blocks(const MatrixSource& source,
                              std::int64_t row,
                              std::byte* scratch) noexcept {
  if (source.view.dtype != DType::kMxfp4Apart) return row_of(source, row);
  tensor::join_mxfp4(row_of(source, row),
                     source.view.scales + blocks_before(source, row),
                     source.view.shape[1] / tensor::kMxfp4Elements,
                     scratch);
  return scratch;
}

bool has_whole_rows(const MatrixSource& source) {
  return source.is_plain() || source.column_stride == 1;
}

// The elements of a row whose columns lie apart, one after the other.
void gather_row(const MatrixSource& source, std::int64_t row, std::byte* out) noexcept {
  const std::size_t size = tensor::dtype_size(source.view.dtype);
  const std::size_t stride = static_cast<std::size_t>(source.column_stride) * size;
  const std::byte* from = row_of(source, row);
  for (std::int64_t i = 0; i < source.view.shape[1]; ++i, from += stride, out += size) {
    std::memcpy(out, from, size);
  }
}

// Writes a row as f32. Scratch: bytes of a row, where its columns or its scales lie apart.
void read_row(const MatrixSource& source,
              std::int64_t row,
              std::byte* scratch,
              float* out) noexcept {
  const std::byte* bytes = scratch;
  if (has_whole_rows(source)) {
    bytes = whole_blocks(source, row, scratch);
  } else {
    gather_row(source, row, scratch);
  }
  const DType dtype = tensor::dtype_of_blocks(source.view.dtype);
  tensor::dequantize_row(dtype, bytes, source.view.shape[1], out);
}

// Codes, scales and minimums of a panel's rows, or its halves where the file does not align them.
// Bound: scales and minimums of groups of 16 take half of a byte for each code; with those of 32,
// the blocks of a row, of at most 5 bits for each code, fit besides.
std::size_t scratch_size(std::int64_t k) {
  return round_up(static_cast<std::size_t>(kPanelOutputs * k) * 2, std::size_t{kAlignment});
}

kernels::PanelSource unpack_codes(const MatrixSource& matrix,
                                  const MatrixFormat& format,
                                  std::int64_t first_row,
                                  std::int64_t row_count,
                                  std::byte* scratch) noexcept {
  const TensorView& view = matrix.view;
  const std::int64_t k = view.shape[1];
  const std::int64_t groups = k / format.group;
  auto* scales = reinterpret_cast<float*>(scratch);
  float* mins = scales + kPanelOutputs * groups;
  auto* codes = reinterpret_cast<std::int8_t*>(mins + kPanelOutputs * groups);
  auto* blocks = reinterpret_cast<std::byte*>(codes + kPanelOutputs * k);
  const QuantFormat* quant = tensor::find_quant_format(tensor::dtype_of_blocks(view.dtype));
  for (std::int64_t i = 0; i < row_count; ++i) {
    quant->unpack(whole_blocks(matrix, first_row + i, blocks),
                  k,
                  {codes + i * k, scales + i * groups, mins + i * groups});
  }
  kernels::PanelSource source;
  source.codes = codes;
  source.scales = scales;
  source.mins = format.has_min ? mins : nullptr;
  source.codebook = format.codebook;
  return source;
}

// Why copies: rows may lie apart, or at odd addresses.
const std::uint16_t* aligned_halves(const MatrixSource& matrix,
                                    std::int64_t first_row,
                                    std::int64_t row_count,
                                    std::byte* scratch) noexcept {
  const std::byte* rows = row_of(matrix, first_row);
  const std::size_t row_size = static_cast<std::size_t>(matrix.view.shape[1]) * 2;
  if (!matrix.is_plain()) {
    for (std::int64_t i = 0; i < row_count; ++i) {
      gather_row(matrix, first_row + i, scratch + static_cast<std::size_t>(i) * row_size);
    }
    rows = scratch;
  } else if (reinterpret_cast<std::uintptr_t>(rows) % alignof(std::uint16_t) != 0) {
    std::memcpy(scratch, rows, static_cast<std::size_t>(row_count) * row_size);
    rows = scratch;
  }
  return reinterpret_cast<const std::uint16_t*>(rows);
}

void pack_panel(const MatrixSource& matrix,
                const MatrixPlan& plan,
                std::int64_t panel,
                std::byte* scratch,
                std::byte* out) noexcept {
  const tensor::Shape& shape = matrix.view.shape;
  const std::int64_t first_row = panel * kPanelOutputs;
  const std::int64_t row_count = std::min(kPanelOutputs, shape[0] - first_row);
  kernels::PanelSource source;
  if (plan.format.kind == MatrixFormat::Kind::kCodes) {
    source = unpack_codes(matrix, plan.format, first_row, row_count, scratch);
  } else {
    source.halves = aligned_halves(matrix, first_row, row_count, scratch);
  }
  source.row_count = row_count;
  source.k = shape[1];
  plan.ops->pack_panel(source, out);
}

template <typename F>
void for_each_part(const Op& op, F&& f) {
  if (const auto* linear = std::get_if<LinearOp>(&op)) {
    for (const LinearPart& part : linear->parts) f(linear->in, part);
  } else if (const auto* gated = std::get_if<GatedLinearOp>(&op)) {
    f(gated->in, gated->gate);
    f(gated->in, gated->up);
  }
}

// By MatrixId, whether inputs may be rounded to bf16.
std::vector<bool> rounded_inputs(const Program& program) {
  std::vector<bool> rounded(program.matrices.size(), program.arithmetic.rounds_inputs);
  std::vector<ValueId> routes;
  for (const Op& op : program.ops) {
    if (const auto* route = std::get_if<RouteOp>(&op)) routes.push_back(route->logits);
  }
  for (const Op& op : program.ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) continue;
    const bool is_head = linear->in == program.hidden;
    for (const LinearPart& part : linear->parts) {
      const bool is_router = std::find(routes.begin(), routes.end(), part.out) != routes.end();
      if (is_head || is_router) rounded[static_cast<std::size_t>(part.matrix)] = false;
    }
  }
  return rounded;
}

}  // namespace

const MatrixOps* find_matrix_ops(const kernels::KernelTable& table,
                                 DType dtype,
                                 bool rounds_inputs) {
  const std::optional<MatrixFormat> format = format_of(dtype, rounds_inputs);
  return format && table.matrix_ops != nullptr ? table.matrix_ops(*format) : nullptr;
}

kernels::LinearFn find_linear(const kernels::KernelTable& table, DType dtype) {
  if (dtype == DType::kBf16) return table.linear_f32_bf16;
  return dtype == DType::kF16 ? table.linear_f32_f16 : table.linear_f32_f32;
}

MatricesPlan plan_matrices(const Program& program, const kernels::KernelTable& table) {
  MatricesPlan plan;
  const std::vector<bool> rounded = rounded_inputs(program);
  for (std::size_t i = 0; i < program.matrices.size(); ++i) {
    MatrixPlan matrix =
        plan_matrix(program.matrices[i], program.arithmetic.packed, rounded[i], table);
    matrix.offset = round_up(plan.image_size, kAlignment);
    if (matrix.form != Form::kInPlace) plan.image_size = matrix.offset + matrix.size;
    if (matrix.form == Form::kPacked) plan.packed_size += matrix.size;
    plan.matrices.push_back(matrix);
  }
  return plan;
}

std::vector<PackedInput> packed_inputs(const Program& program, const MatricesPlan& plan) {
  std::vector<PackedInput> inputs;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    for_each_part(program.ops[i], [&](ValueId in, const LinearPart& part) {
      const MatrixOps* ops = plan.matrices[static_cast<std::size_t>(part.matrix)].ops;
      if (ops == nullptr) return;
      const bool known = std::any_of(inputs.begin(), inputs.end(), [&](const PackedInput& input) {
        return input.op == index && input.ops == ops->inputs;
      });
      if (!known) inputs.push_back({index, in, ops->inputs});
    });
  }
  return inputs;
}

Result<MatrixPacker> MatrixPacker::create(const Program& program,
                                          const MatricesPlan& plan,
                                          device::CpuDevice& device) {
  MatrixPacker packer(program, plan, device);
  for (std::size_t i = 0; i < plan.matrices.size(); ++i) {
    if (plan.matrices[i].form == Form::kInPlace) continue;
    packer.scratch_stride_ =
        std::max(packer.scratch_stride_, scratch_size(program.matrices[i].view.shape[1]));
  }
  ASSIGN_OR_RETURN(packer.scratch_,
                   AnonymousMemory::allocate(
                       packer.scratch_stride_ * static_cast<std::size_t>(device.thread_count()),
                       "scratch memory for packing weights"));
  return packer;
}

void MatrixPacker::pack(MatrixId id, std::byte* image) noexcept {
  const MatrixSource& matrix = program_->matrices[static_cast<std::size_t>(id)];
  const tensor::Shape& shape = matrix.view.shape;
  const MatrixPlan& plan = plan_->matrices[static_cast<std::size_t>(id)];
  std::byte* out = image + plan.offset;
  const std::int64_t k = shape[1];
  const auto scratch = [&](int worker) {
    return scratch_.data() + scratch_stride_ * static_cast<std::size_t>(worker);
  };
  if (plan.form == Form::kPacked) {
    const std::size_t panel_size = plan.ops->panel_size(k);
    auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
      for (std::int64_t panel = begin; panel < end; ++panel) {
        std::byte* to = out + static_cast<std::size_t>(panel) * panel_size;
        pack_panel(matrix, plan, panel, scratch(worker), to);
      }
    };
    device_->parallel_for(panel_count(matrix.view), kPanelGrain, body);
  } else if (plan.form == Form::kConverted) {
    auto* floats = reinterpret_cast<float*>(out);
    auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
      for (std::int64_t row = begin; row < end; ++row) {
        read_row(matrix, row, scratch(worker), floats + row * k);
      }
    };
    device_->parallel_for(shape[0], kPanelGrain * kPanelOutputs, body);
  }
}

Matrices::Matrices(const Program& program, const MatricesPlan& plan, const std::byte* image)
    : inputs_(packed_inputs(program, plan)) {
  for (std::size_t i = 0; i < plan.matrices.size(); ++i) {
    const MatrixPlan& planned = plan.matrices[i];
    const TensorView& view = program.matrices[i].view;
    const bool in_place = planned.form == Form::kInPlace;
    matrices_.push_back({planned.ops,
                         in_place ? view.data : image + planned.offset,
                         in_place ? view.dtype : DType::kF32,
                         planned.format.codebook});
  }
}

}  // namespace inferneo::graph
