// Turns the scheduler's decision into the plain arrays of a StepPlan, and remembers which sequence
// each row of logits belongs to.
// Thread: engine. Ownership: owns the arrays, which are reused and never grow after construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/active_request.h"
#include "runtime/step.h"

namespace inferneo::engine {

// A row of logits: what follows the token at `position` of the sequence.
struct RowOwner {
  Sequence* sequence = nullptr;
  std::int32_t position = 0;
};

class StepBatch {
 public:
  explicit StepBatch(const runtime::RunnerOptions& limits);

  // Gathers all sequences with scheduled > 0. Spans of the plan stay valid until the next build.
  const runtime::StepPlan& build(std::span<Sequence* const> running);

  [[nodiscard]] std::span<const RowOwner> rows() const { return rows_; }
  // The same for rows of hidden states.
  [[nodiscard]] std::span<const RowOwner> hidden_rows() const { return hidden_owners_; }
  [[nodiscard]] std::int32_t token_count() const {
    return static_cast<std::int32_t>(token_ids_.size());
  }

 private:
  void add(Sequence& sequence);

  std::vector<TokenId> token_ids_;
  std::vector<runtime::StepSequence> sequences_;
  std::vector<std::int32_t> logit_rows_;
  std::vector<RowOwner> rows_;  // by index in logit_rows_
  std::vector<std::int32_t> hidden_rows_;
  std::vector<RowOwner> hidden_owners_;  // by index in hidden_rows_
  runtime::StepPlan plan_;
};

}  // namespace inferneo::engine
