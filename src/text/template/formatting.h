// Python's two ways to format text: "..." % values and "...".format(...).
// Thread: one evaluation.
#pragma once

#include "text/template/evaluation.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

// `values`: a tuple for several, a dict for %(name)s, else the one value.
// Conversions d i u s r c x X o f F e E g G %; unsupported names others.
Result<Object> format_percent(Evaluation& evaluation, const Text& format, const Object& values);

// Fields {} {0} {name} with .attribute and [item], !s !r, and :[[fill]align][sign][0][width][,]
// [.precision][type]. unsupported names other specifications.
Result<Object> format_braces(Evaluation& evaluation,
                             const Text& format,
                             const Arguments& arguments);

}  // namespace inferneo::text::jinja
