// One forward step over a batch, as plain data: which tokens of which sequences are computed, where
// their keys and values live, and which rows need logits. A runtime never sees a request.
// Thread: engine. Ownership: all spans are borrowed until wait() returns.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "kv/block_id.h"
#include "request/token.h"

namespace inferneo::runtime {

// One sequence's share of a step: a prefill chunk or a single decode token, treated alike.
struct StepSequence {
  std::int32_t token_begin = 0;     // index of its first token in StepPlan::token_ids
  std::int32_t token_count = 0;     // at least 1
  std::int32_t context_before = 0;  // tokens already in the cache = position of its first token
  // Covers context_before + token_count tokens; block i holds positions [i*16, (i+1)*16).
  std::span<const kv::BlockId> blocks;
  // The same of layers with a window, from a pool of their own. Of blocks that no token of this
  // step sees, any id of that pool may be here. Empty: `blocks` are used there as well.
  std::span<const kv::BlockId> window_blocks = {};
  // Position of the first token of the second segment, for models that tell the two apart.
  std::int32_t second_begin = std::numeric_limits<std::int32_t>::max();
};

struct StepPlan {
  std::span<const TokenId> token_ids;        // Shape: [tokens], sequence after sequence
  std::span<const StepSequence> sequences;   // in the order of token_ids
  std::span<const std::int32_t> logit_rows;  // ascending indices into token_ids
  // Tokens whose hidden state is wanted and no logits; ascending too. None where
  // ModelInfo::hidden_size is 0. Bound: with logit_rows together
  // RunnerOptions::logit_row_count_max.
  std::span<const std::int32_t> hidden_rows = {};
};

struct StepResult {
  // Shape: [logit_rows][vocab_size], in the runner's memory but the caller's to overwrite (samplers
  // work in place) until the next submit. A row may hold non-finite values; containing that fault
  // is the engine's job.
  std::span<float> logits;
  // What the last layer gives for hidden_rows, after its norm: what logits are computed from, or
  // the scores of a classification head. Shape: [hidden_rows][hidden_size], until the next submit.
  std::span<const float> hidden = {};
};

struct RunnerOptions {
  std::int32_t kv_block_count = 0;
  std::int32_t step_token_count_max = 0;
  std::int32_t sequence_count_max = 0;
  std::int32_t logit_row_count_max = 0;
  std::int32_t kv_window_block_count = 0;  // of layers with a window; 0: as many as of the others
};

// Runs steps of one model and owns its key/value cache and workspace. Blocks hold
// limits::kKvBlockSizeTokens tokens. After creation no call allocates.
// Thread: one engine thread.
class GenerativeRunner {
 public:
  using Ticket = std::uint64_t;

  virtual ~GenerativeRunner() = default;
  // Starts a step; at most one may be in flight. The plan is trusted: the engine has validated it.
  virtual Ticket submit(const StepPlan& plan) noexcept = 0;
  // Blocks until the step is done.
  virtual StepResult wait(Ticket ticket) noexcept = 0;
  // Between two steps: blocks from `block_count` on hold nothing worth keeping, and their memory
  // goes back to the system where that is possible; the others keep what they hold. At most
  // RunnerOptions::kv_block_count, which is what it begins with.
  virtual void resize_cache(std::int32_t block_count) noexcept { (void)block_count; }
};

}  // namespace inferneo::runtime
