// Where the values of the step in progress are, for the parts of the executor.
// Thread: any worker reads; the engine thread changes it between steps. Ownership: borrows program,
// layout and workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/executor.h"
#include "graph/memory_planner.h"
#include "graph/program.h"

namespace inferneo::graph {

class StepValues {
 public:
  explicit StepValues(const Program& program) : program_(program) {}

  void place(const MemoryLayout& layout, std::byte* workspace) {
    layout_ = &layout;
    workspace_ = workspace;
  }
  void set_step(const Step* step) { step_ = step; }

  [[nodiscard]] const Step& step() const { return *step_; }
  [[nodiscard]] const Value& operator[](ValueId id) const {
    return program_.values[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::int64_t width(ValueId id) const { return (*this)[id].width; }
  [[nodiscard]] float* at(ValueId id, std::int64_t row = 0) const {
    std::byte* base = workspace_ + layout_->offsets[static_cast<std::size_t>(id)];
    return reinterpret_cast<float*>(base) + row * width(id);
  }
  [[nodiscard]] std::int64_t rows(ValueId id) const {
    const Rows kind = (*this)[id].rows;
    std::size_t count = step_->logit_rows.size();
    if (kind == Rows::kTokens) count = step_->token_ids.size();
    if (kind == Rows::kOutputs) count += step_->hidden_rows.size();
    return static_cast<std::int64_t>(count);
  }

 private:
  const Program& program_;
  const MemoryLayout* layout_ = nullptr;
  std::byte* workspace_ = nullptr;
  const Step* step_ = nullptr;
};

// Multiply-adds below which handing work to another thread costs more than it saves: a section
// costs about 2 us, and one core needs 4 us to read that many bf16 weights.
inline constexpr std::int64_t kSectionWorkMin = 1 << 15;

// Items of a section such that each piece is worth a thread.
constexpr std::int64_t grain_for(std::int64_t work_per_item, std::int64_t multiple = 1) {
  const std::int64_t items = kSectionWorkMin / (work_per_item > 1 ? work_per_item : 1);
  return ((items > 1 ? items : 1) + multiple - 1) / multiple * multiple;
}

}  // namespace inferneo::graph
