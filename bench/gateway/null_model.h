// A model that costs nothing: every token is the end token. What is left is the gateway and the
// engine's own work.
// Thread: as runtime::Model.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "runtime/runtime.h"

namespace inferneo::bench {

class NullRunner final : public runtime::GenerativeRunner {
 public:
  NullRunner(const runtime::ModelInfo& info, const runtime::RunnerOptions& options)
      : vocab_size_(static_cast<std::size_t>(info.vocab_size)),
        likely_(static_cast<std::size_t>(info.eos_token_ids.front())),
        logits_(vocab_size_ * static_cast<std::size_t>(options.logit_row_count_max)) {}
  Ticket submit(const runtime::StepPlan& plan) noexcept override {
    rows_ = plan.logit_rows.size();
    return ++ticket_;
  }
  runtime::StepResult wait(Ticket) noexcept override {
    const auto logits = std::span(logits_).first(rows_ * vocab_size_);
    std::ranges::fill(logits, 0.0F);
    for (std::size_t row = 0; row < rows_; ++row) logits[row * vocab_size_ + likely_] = 9.0F;
    return {logits, {}};
  }

 private:
  const std::size_t vocab_size_;
  const std::size_t likely_;
  std::vector<float> logits_;
  std::size_t rows_ = 0;
  Ticket ticket_ = 0;
};

class NullModel final : public runtime::Model {
 public:
  NullModel() {
    info_.architecture = "null";
    info_.path = "null";
    info_.vocab_size = 4096;
    info_.context_tokens_max = 4096;
    info_.layer_count = 1;
    info_.isa = "none";
    info_.eos_token_ids = {4090};
    info_.memory.kv_block_bytes = 1;
  }
  [[nodiscard]] const runtime::ModelInfo& info() const override { return info_; }
  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    return std::unique_ptr<runtime::GenerativeRunner>(std::make_unique<NullRunner>(info_, options));
  }

 private:
  runtime::ModelInfo info_;
};

}  // namespace inferneo::bench
