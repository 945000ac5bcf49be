// The matrices of a program as kernels read them. Each is held in one of three forms: packed for
// the kernels (MatrixOps), in place as rows of the file, or converted to rows of f32. Packed and
// converted matrices lie together in one image, whose layout is known before a weight is read; the
// image may come from pack() or be one that was packed before.
// Thread: any once created. Ownership: borrows the image and the rows that are read in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/result.h"
#include "device/cpu.h"
#include "graph/program.h"
#include "kernels/kernel_table.h"

namespace inferneo::graph {

// Null where the table has nothing but LinearFn for matrices of this type.
const kernels::MatrixOps* find_matrix_ops(const kernels::KernelTable& table,
                                          tensor::DType dtype,
                                          bool rounds_inputs = false);

// Products with rows of this type as they lie in the file.
kernels::LinearFn find_linear(const kernels::KernelTable& table, tensor::DType dtype);

// How one matrix is held.
struct MatrixPlan {
  enum class Form : std::uint8_t { kInPlace, kConverted, kPacked };
  Form form = Form::kInPlace;
  const kernels::MatrixOps* ops = nullptr;  // of a packed one, or of rows that it reads in place
  kernels::MatrixFormat format;             // the same
  // Place in the image, aligned to a cache line; of size 0 when in place.
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct MatricesPlan {
  std::vector<MatrixPlan> matrices;  // by MatrixId
  std::uint64_t image_size = 0;
  std::uint64_t packed_size = 0;  // of the image, what is packed
};
// Packs what the table offers MatrixOps for, unless the program's arithmetic is exact; then, and
// where the table has none, 16-bit and f32 matrices stay in place and quantised ones are converted.
MatricesPlan plan_matrices(const Program& program, const kernels::KernelTable& table);

// Inputs that an operation's linears read packed: one for each kind of packing among its parts.
struct PackedInput {
  std::int32_t op = 0;  // index of the operation
  ValueId in = kNone;
  const kernels::InputOps* ops = nullptr;
};
// In order of operations.
std::vector<PackedInput> packed_inputs(const Program& program, const MatricesPlan& plan);

// Writes matrices into an image, in parallel on the device's threads, each of which first touches
// what it is the first to read later.
// Thread: one. Ownership: borrows program, plan and device.
class MatrixPacker {
 public:
  // Failures: resource_exhausted (scratch).
  static Result<MatrixPacker> create(const Program& program,
                                     const MatricesPlan& plan,
                                     device::CpuDevice& device);
  // Does nothing for a matrix that is read in place. `image` holds plan.image_size bytes, aligned
  // to 64.
  void pack(MatrixId id, std::byte* image) noexcept;

 private:
  MatrixPacker(const Program& program, const MatricesPlan& plan, device::CpuDevice& device)
      : program_(&program), plan_(&plan), device_(&device) {}

  const Program* program_;
  const MatricesPlan* plan_;
  device::CpuDevice* device_;
  AnonymousMemory scratch_;  // Shape: [workers][scratch_stride_]
  std::size_t scratch_stride_ = 0;
};

// One matrix at hand.
struct Matrix {
  const kernels::MatrixOps* ops = nullptr;  // null: plain rows of `dtype`
  const std::byte* data = nullptr;          // panels, or rows
  tensor::DType dtype = tensor::DType::kF32;
  const std::int8_t* codebook = nullptr;
};

class Matrices {
 public:
  // `image` is null when the plan's is empty.
  Matrices(const Program& program, const MatricesPlan& plan, const std::byte* image);
  [[nodiscard]] const Matrix& operator[](MatrixId id) const {
    return matrices_[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::span<const PackedInput> inputs() const { return inputs_; }

 private:
  std::vector<Matrix> matrices_;
  std::vector<PackedInput> inputs_;
};

}  // namespace inferneo::graph
