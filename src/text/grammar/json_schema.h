// JSON Schema to a grammar over JSON text. Everything that the grammar generates is valid; what a
// schema allows beyond that (other orders of properties, other spellings) is not generated. A
// keyword that cannot be kept is refused with its JSON pointer; docs/structured_output.md lists
// them. Spec: JSON Schema draft 2020-12; `definitions`, lists in `items` and `additionalItems` of
// earlier drafts are read too. Thread: any (pure functions).
#pragma once

#include "base/status.h"
#include "text/grammar/grammar.h"
#include "text/value.h"

namespace inferneo::text::grammar {

struct SchemaOptions {
  bool compact = false;  // without optional white space
  // The object's members as Python's keyword arguments: name=value, with Python's literals.
  bool pythonic = false;
  bool object_only = false;  // the value is an object, whatever the schema says
};

// Adds rules to a grammar that begins with those of JSON; `root` is set to the rule of a valid
// value. The schema must outlive the call. Failures: invalid_argument and unsupported; where() is
// the JSON pointer ("#/properties/a/minimum").
Status add_schema(Grammar& grammar,
                  const Value& schema,
                  const SchemaOptions& options,
                  std::uint32_t& root);

}  // namespace inferneo::text::grammar
