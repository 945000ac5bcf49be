// The operations of a step on rows and single elements: positions, norms, copies, activations,
// sums, caps, and the choice of experts.
// Thread: one engine thread, which shares the work with the device's. Ownership: borrows all.
#pragma once

#include <cstdint>

#include "device/cpu.h"
#include "graph/constants.h"
#include "graph/step_values.h"

namespace inferneo::graph {

// Norms a row of whole stretches. `first` is the stretch of the value that x begins with; y may be
// x. Thread: any.
void apply_norm(const kernels::KernelTable& table,
                const Constants& constants,
                const Norm& norm,
                const float* x,
                std::int64_t first,
                std::int64_t stretches,
                float* y) noexcept;

class RowOps {
 public:
  RowOps(const StepValues& values, const Constants& constants, device::CpuDevice& device)
      : values_(values), constants_(constants), device_(device), table_(device.kernels()) {}

  void operator()(const EmbedOp& op) const noexcept;
  // `positions`: of each row of the step.
  void add_positions(const PositionOp& op, const std::int32_t* indices) const noexcept;
  void operator()(const NormOp& op) const noexcept;
  void operator()(const CopyColumnsOp& op) const noexcept;
  void operator()(const ActivateOp& op) const noexcept;
  void operator()(const AddOp& op) const noexcept;
  void operator()(const ScaleOp& op) const noexcept;
  void operator()(const ClampOp& op) const noexcept;
  void operator()(const SoftCapOp& op) const noexcept;
  void operator()(const GateRowsOp& op) const noexcept;
  void operator()(const GatherRowsOp& op) const noexcept;
  void operator()(const MeanRowsOp& op) const noexcept;
  void operator()(const RouteOp& op) const noexcept;

 private:
  // Calls f(elements, begin, count) for stretches of all elements of a value.
  template <typename F>
  void for_elements(ValueId id, std::int64_t cost, const F& f) const noexcept;
  // Calls f(row) for all rows of a value.
  template <typename F>
  void for_rows(ValueId id, std::int64_t cost, const F& f) const noexcept;

  const StepValues& values_;
  const Constants& constants_;
  device::CpuDevice& device_;
  const kernels::KernelTable& table_;
};

}  // namespace inferneo::graph
