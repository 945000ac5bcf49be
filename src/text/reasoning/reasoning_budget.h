// A bound on the tokens of reasoning: when they are used up, the closing mark is forced, and the
// model answers. What follows may have a constraint of its own.
// Thread: as request::TokenConstraint.
#pragma once

#include <cstdint>
#include <memory>

#include "request/token_constraint.h"
#include "text/reasoning/reasoning_format.h"
#include "text/tokenizer.h"

namespace inferneo::text {

struct ReasoningBudget {
  std::int32_t token_count_max = 0;
  const ReasoningFormat* format = nullptr;
  bool begins_in_reasoning = false;
  // Of what follows the reasoning, from its first token on; may be null.
  std::shared_ptr<const request::TokenConstraint> answer;
};

std::shared_ptr<const request::TokenConstraint> make_reasoning_budget(
    ReasoningBudget budget, std::shared_ptr<const Tokenizer> tokenizer);

}  // namespace inferneo::text
