#include "engine/step_batch.h"

namespace inferneo::engine {

StepBatch::StepBatch(const runtime::RunnerOptions& limits) {
  token_ids_.reserve(static_cast<std::size_t>(limits.step_token_count_max));
  sequences_.reserve(static_cast<std::size_t>(limits.sequence_count_max));
  logit_rows_.reserve(static_cast<std::size_t>(limits.logit_row_count_max));
  rows_.reserve(static_cast<std::size_t>(limits.logit_row_count_max));
}

const runtime::StepPlan& StepBatch::build(std::span<Sequence* const> running) {
  token_ids_.clear();
  sequences_.clear();
  logit_rows_.clear();
  rows_.clear();
  for (Sequence* sequence : running) {
    if (sequence->scheduled > 0) add(*sequence);
  }
  plan_ = {token_ids_, sequences_, logit_rows_};
  return plan_;
}

void StepBatch::add(Sequence& sequence) {
  const std::int32_t begin = sequence.computed;
  const std::int32_t end = begin + sequence.scheduled;
  const std::int32_t token_begin = token_count();
  sequences_.push_back({token_begin, sequence.scheduled, begin, sequence.table.blocks});
  const auto first = sequence.tokens.begin() + begin;
  token_ids_.insert(token_ids_.end(), first, first + sequence.scheduled);

  const ActiveRequest& request = *sequence.request;
  if (sequence.choice == 0) {
    for (std::int32_t position = std::max(begin, request.prompt_rows_scored);
         position < std::min(end, request.prompt_rows_wanted());
         ++position) {
      logit_rows_.push_back(token_begin + position - begin);
      rows_.push_back({&sequence, position});
    }
  }
  if (end == sequence.token_count()) {
    logit_rows_.push_back(token_begin + sequence.scheduled - 1);
    rows_.push_back({&sequence, end - 1});
  }
}

}  // namespace inferneo::engine
