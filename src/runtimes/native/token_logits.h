// Logits of one sequence of tokens, the plain way: a runner of its own, chunk after chunk. For
// tests, perplexity and inspection; a server goes through the engine.
// Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/runtime.h"

namespace inferneo::runtimes::native {

// Runs one sequence step by step and keeps its keys and values between calls.
class SequenceRunner {
 public:
  // Room for token_count_max tokens, computed at most chunk_token_count at a time.
  // The model must outlive it. Failures: those of Model::make_runner, invalid_argument.
  static Result<SequenceRunner> create(const runtime::Model& model,
                                       std::int32_t token_count_max,
                                       std::int32_t chunk_token_count = 256);

  // Appends tokens. Shape of the result: [ids][vocab]. Failures: invalid_argument (an id outside
  // the vocabulary, more tokens than there is room for).
  Result<std::vector<float>> append_all_logits(std::span<const TokenId> ids);
  // Appends tokens and gives the logits of the last. Precondition: ids is not empty.
  Result<std::vector<float>> append(std::span<const TokenId> ids);

 private:
  SequenceRunner() = default;
  Status check(std::span<const TokenId> ids) const;
  Result<std::vector<float>> append_rows(std::span<const TokenId> ids, bool all_rows);

  std::unique_ptr<runtime::GenerativeRunner> runner_;
  std::vector<kv::BlockId> blocks_;
  std::vector<std::int32_t> logit_rows_;
  std::int32_t chunk_token_count_ = 0;
  std::int32_t token_count_max_ = 0;
  std::int32_t token_count_ = 0;
  std::int32_t vocab_size_ = 0;
};

// Continues ids greedily: the lowest id of the largest logit, stop tokens do not stop.
// Failures: as SequenceRunner; internal when logits are not finite.
Result<std::vector<TokenId>> greedy_continuation(const runtime::Model& model,
                                                 std::span<const TokenId> ids,
                                                 std::int32_t token_count);

}  // namespace inferneo::runtimes::native
