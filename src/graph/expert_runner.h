// Linears whose input is not one value for all rows: experts, which see the rows that were routed
// to them, and heads, which see their own columns. Rows are brought together by expert, so that
// each matrix that is used at all is read once for all of its rows.
// Thread: one engine thread, which shares the work with the device's. Ownership: owns its scratch,
// borrows the rest.
#pragma once

#include <cstdint>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/result.h"
#include "device/cpu.h"
#include "graph/constants.h"
#include "graph/matrices.h"
#include "graph/step_values.h"

namespace inferneo::graph {

class ExpertRunner {
 public:
  ExpertRunner(const Program& program,
               const Constants& constants,
               const Matrices& matrices,
               const StepValues& values,
               device::CpuDevice& device);

  // Failures: resource_exhausted.
  Status allocate(const StepLimits& limits);

  void operator()(const ExpertsOp& op) noexcept;
  void operator()(const HeadLinearOp& op) noexcept;

 private:
  // Rows of some input that a linear reads, and where its results go: [row][column], both as
  // strides from row to row.
  struct Rows {
    const float* x = nullptr;
    std::int64_t x_stride = 0;
    std::int64_t count = 0;  // at most kBlockRows
    std::int64_t width = 0;
  };
  struct Columns {
    std::int64_t begin = 0;  // a multiple of kPanelOutputs
    std::int64_t end = 0;
  };
  // A stretch of one expert's columns.
  struct Item {
    std::int32_t expert = 0;
    Columns columns;
  };

  void sort_rows(const ExpertsOp& op) noexcept;
  void activate(const ExpertsOp& op, const Item& item, int worker) noexcept;
  void project(const ExpertsOp& op, const Item& item, int worker) noexcept;
  void combine(const ExpertsOp& op) noexcept;
  [[nodiscard]] const kernels::InputOps* inputs_of(const LinearPart& part) const noexcept;
  // Packs rows as the matrix of `part` reads them, if it does, and returns how.
  const kernels::InputOps* pack(const LinearPart& part, const Rows& in, int worker) const noexcept;
  // Of rows that were packed for the matrix.
  void linear(const LinearPart& part,
              const Rows& in,
              const Columns& columns,
              float* y,
              std::int64_t y_stride,
              int worker) const noexcept;
  [[nodiscard]] std::byte* scratch(int worker) const {
    return scratch_.data() + scratch_stride_ * static_cast<std::size_t>(worker);
  }
  [[nodiscard]] std::byte* packed(int worker) const {
    return scratch(worker) + gathered_size_ + 2 * products_size_;
  }

  const Program& program_;
  const Constants& constants_;
  const Matrices& matrices_;
  const StepValues& values_;
  device::CpuDevice& device_;
  const kernels::KernelTable& table_;

  // Of a worker: gathered rows, two products of a piece, packed inputs.
  AnonymousMemory scratch_;
  std::size_t scratch_stride_ = 0;
  std::size_t gathered_size_ = 0;
  std::size_t products_size_ = 0;

  // About the experts in progress. Sized at creation.
  std::vector<std::int32_t> first_;    // by expert, of its rows in order. Shape: [experts + 1]
  std::vector<std::int32_t> sources_;  // row that is the i-th in order. Shape: [rows * chosen]
  std::vector<std::int32_t> places_;   // place in order. Shape: [rows][chosen]
  std::vector<Item> items_;
};

}  // namespace inferneo::graph
