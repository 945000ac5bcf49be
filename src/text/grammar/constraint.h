// A compiled constraint: an automaton, bound to a model's vocabulary.
// Thread and cost: see request/token_constraint.h. Ownership: keeps the vocabulary alive.
#pragma once

#include <cstddef>
#include <memory>

#include "request/token_constraint.h"
#include "text/grammar/automaton.h"
#include "text/grammar/vocabulary.h"

namespace inferneo::text::grammar {

std::shared_ptr<const request::TokenConstraint> make_constraint(
    Automaton automaton, std::shared_ptr<const ConstraintVocabulary> vocabulary);

}  // namespace inferneo::text::grammar
