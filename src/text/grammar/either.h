// One of two constraints: an answer keeps to the first or to the second, and as long as both are
// possible it may go on as either. Thread: as request::TokenConstraint.
#pragma once

#include <memory>

#include "request/token_constraint.h"

namespace inferneo::text::grammar {

// Both were compiled for the same vocabulary.
std::shared_ptr<const request::TokenConstraint> make_either(
    std::shared_ptr<const request::TokenConstraint> first,
    std::shared_ptr<const request::TokenConstraint> second);

}  // namespace inferneo::text::grammar
