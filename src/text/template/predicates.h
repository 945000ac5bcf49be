// The tests of templates ("value is name(arguments)"); called predicates here, so that they are
// not taken for the tests of this program.
// Thread: one evaluation.
#pragma once

#include <string_view>

#include "text/template/evaluation.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

struct Predicate {
  std::string_view name;
  Result<bool> (*holds)(Evaluation&, const Object& input, const Arguments&);
};

// Null when there is none of that name.
const Predicate* find_predicate(std::string_view name);

}  // namespace inferneo::text::jinja
