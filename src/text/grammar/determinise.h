// From an expression to a deterministic automaton: Thompson's construction, then subsets.
// Thread: any (pure function of its arguments).
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "text/grammar/dfa.h"
#include "text/grammar/expression.h"

namespace inferneo::text::grammar {

// How references to rules are treated.
struct RuleUse {
  bool inlined = false;   // the rule's expression stands in its place
  bool nullable = false;  // a call may also be skipped
  ExprId body = 0;        // for an inlined one
};
using RuleLookup = std::function<RuleUse(std::uint32_t rule)>;

struct DeterminiseOptions {
  RuleLookup rules;  // unset: the expression has none
  // Any text may stand before and behind (the search of regular expressions). `any` is an
  // expression of one character.
  bool search = false;
  ExprId any = 0;
};

// The result is trimmed. Failures: Budget::failure().
Result<Dfa> determinise(const Expressions& expressions,
                        ExprId root,
                        const DeterminiseOptions& options = {});

}  // namespace inferneo::text::grammar
