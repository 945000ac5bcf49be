#include "runtimes/native/token_logits.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::runtimes::native {

Result<SequenceRunner> SequenceRunner::create(const runtime::Model& model,
                                              std::int32_t token_count_max,
                                              std::int32_t chunk_token_count) {
  const std::int32_t context = model.info().context_tokens_max;
  if (token_count_max < 1 || token_count_max > context) {
    return invalid_argument(
        str(token_count_max, " tokens do not fit the model's context of ", context));
  }
  if (chunk_token_count < 1) return invalid_argument("a chunk holds at least one token");
  SequenceRunner sequence;
  sequence.chunk_token_count_ = std::min(chunk_token_count, token_count_max);
  sequence.token_count_max_ = token_count_max;
  sequence.vocab_size_ = model.info().vocab_size;
  runtime::RunnerOptions options;
  options.kv_block_count = (token_count_max - 1) / limits::kKvBlockSizeTokens + 1;
  options.step_token_count_max = sequence.chunk_token_count_;
  options.sequence_count_max = 1;
  options.logit_row_count_max = sequence.chunk_token_count_;
  ASSIGN_OR_RETURN(sequence.runner_, model.make_runner(options));
  sequence.blocks_.resize(static_cast<std::size_t>(options.kv_block_count));
  std::iota(sequence.blocks_.begin(), sequence.blocks_.end(), kv::BlockId{0});
  sequence.logit_rows_.resize(static_cast<std::size_t>(sequence.chunk_token_count_));
  std::iota(sequence.logit_rows_.begin(), sequence.logit_rows_.end(), 0);
  return sequence;
}

Status SequenceRunner::check(std::span<const TokenId> ids) const {
  if (ids.size() > static_cast<std::size_t>(token_count_max_ - token_count_)) {
    return invalid_argument(str(ids.size(),
                                " more tokens after ",
                                token_count_,
                                " are above the limit of ",
                                token_count_max_));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size_) {
      return invalid_argument(
          str("token ", i, " is ", ids[i], ", outside the vocabulary of ", vocab_size_));
    }
  }
  return ok_status();
}

Result<std::vector<float>> SequenceRunner::append_rows(std::span<const TokenId> ids,
                                                       bool all_rows) {
  RETURN_IF_ERROR(check(ids));
  std::vector<float> logits;
  for (std::size_t begin = 0; begin < ids.size();) {
    const std::size_t count =
        std::min(ids.size() - begin, static_cast<std::size_t>(chunk_token_count_));
    const runtime::StepSequence slice = {
        0, static_cast<std::int32_t>(count), token_count_, blocks_};
    const bool is_last = begin + count == ids.size();
    const std::size_t first_row = all_rows ? 0 : count - (is_last ? 1 : 0);
    runtime::StepPlan plan;
    plan.token_ids = ids.subspan(begin, count);
    plan.sequences = std::span(&slice, 1);
    plan.logit_rows = std::span(logit_rows_).subspan(first_row, count - first_row);
    const auto result = runner_->wait(runner_->submit(plan));
    logits.insert(logits.end(), result.logits.begin(), result.logits.end());
    begin += count;
    token_count_ += static_cast<std::int32_t>(count);
  }
  return logits;
}

Result<std::vector<float>> SequenceRunner::append_all_logits(std::span<const TokenId> ids) {
  return append_rows(ids, true);
}

Result<std::vector<float>> SequenceRunner::append(std::span<const TokenId> ids) {
  return append_rows(ids, false);
}

Result<std::vector<TokenId>> greedy_continuation(const runtime::Model& model,
                                                 std::span<const TokenId> ids,
                                                 std::int32_t token_count) {
  ASSIGN_OR_RETURN(
      SequenceRunner sequence,
      SequenceRunner::create(model, static_cast<std::int32_t>(ids.size()) + token_count));
  std::vector<TokenId> tokens;
  ASSIGN_OR_RETURN(std::vector<float> logits, sequence.append(ids));
  while (tokens.size() < static_cast<std::size_t>(token_count)) {
    const auto best = std::max_element(logits.begin(), logits.end());
    if (best == logits.end() || !std::isfinite(*best)) {
      return internal_error("the model's logits are not finite");
    }
    tokens.push_back(static_cast<TokenId>(best - logits.begin()));
    ASSIGN_OR_RETURN(logits, sequence.append(std::span(&tokens.back(), 1)));
  }
  return tokens;
}

}  // namespace inferneo::runtimes::native
