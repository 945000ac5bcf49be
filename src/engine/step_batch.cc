#include "engine/step_batch.h"

namespace inferneo::engine {

StepBatch::StepBatch(const runtime::RunnerOptions& limits) {
  token_ids_.reserve(static_cast<std::size_t>(limits.step_token_count_max));
  sequences_.reserve(static_cast<std::size_t>(limits.sequence_count_max));
  logit_rows_.reserve(static_cast<std::size_t>(limits.logit_row_count_max));
  rows_.reserve(static_cast<std::size_t>(limits.logit_row_count_max));
  hidden_rows_.reserve(static_cast<std::size_t>(limits.logit_row_count_max));
  hidden_owners_.reserve(static_cast<std::size_t>(limits.logit_row_count_max));
}

const runtime::StepPlan& StepBatch::build(std::span<Sequence* const> running) {
  token_ids_.clear();
  sequences_.clear();
  logit_rows_.clear();
  rows_.clear();
  hidden_rows_.clear();
  hidden_owners_.clear();
  for (Sequence* sequence : running) {
    if (sequence->scheduled > 0) add(*sequence);
  }
  plan_ = {token_ids_, sequences_, logit_rows_, hidden_rows_};
  return plan_;
}

void StepBatch::add(Sequence& sequence) {
  const std::int32_t begin = sequence.computed;
  const std::int32_t end = begin + sequence.scheduled;
  const std::int32_t token_begin = token_count();
  sequences_.push_back({token_begin,
                        sequence.scheduled,
                        begin,
                        sequence.table.blocks,
                        sequence.table.window_blocks,
                        sequence.request->request.second_begin});
  const auto first = sequence.tokens.begin() + begin;
  token_ids_.insert(token_ids_.end(), first, first + sequence.scheduled);

  const ActiveRequest& request = *sequence.request;
  const bool pools = request.request.pooling.has_value();
  std::vector<std::int32_t>& rows = pools ? hidden_rows_ : logit_rows_;
  std::vector<RowOwner>& owners = pools ? hidden_owners_ : rows_;
  std::int32_t position = std::max(begin, request.prompt_rows_scored);
  if (sequence.choice == 0) {
    for (; position < std::min(end, request.prompt_rows_wanted()); ++position) {
      rows.push_back(token_begin + position - begin);
      owners.push_back({&sequence, position});
    }
  }
  // The row that the next token comes from; of a vector, what says that the text is complete.
  const bool has_last =
      !owners.empty() && owners.back().sequence == &sequence && owners.back().position == end - 1;
  if (end == sequence.token_count() && !has_last) {
    rows.push_back(token_begin + sequence.scheduled - 1);
    owners.push_back({&sequence, end - 1});
  }
}

}  // namespace inferneo::engine
