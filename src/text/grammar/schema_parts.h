// A schema taken apart: references followed, allOf flattened, so that what remains is a set of
// schema objects that a value must all satisfy, and alternatives of which one must be chosen.
// Thread: one owner. Ownership: borrows the schema.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/grammar/budget.h"
#include "text/value.h"

namespace inferneo::text::grammar {

// One schema that a value must satisfy. `chosen` says which of its alternatives have been chosen
// already (and are parts of their own): bit 0 anyOf, bit 1 oneOf.
struct SchemaPart {
  const Value* schema = nullptr;
  std::uint32_t chosen = 0;
  friend auto operator<=>(const SchemaPart&, const SchemaPart&) = default;
};

using SchemaParts = std::vector<SchemaPart>;

struct FlatSchema {
  SchemaParts parts;        // schema objects, checked; in the order in which they were met
  bool impossible = false;  // one of them was `false`
  // The first part with alternatives that are not chosen, or none.
  const SchemaPart* open_part = nullptr;
  const char* open_keyword = nullptr;  // "anyOf" or "oneOf"
};

class SchemaReader {
 public:
  SchemaReader(const Value& root, Budget& budget) : root_(root), budget_(budget) {
    pointers_[&root] = std::string("#");
  }

  // Failures: those of check_keywords; invalid_argument for references that lead nowhere or to
  // themselves; Budget::failure().
  Result<FlatSchema> flatten(const SchemaParts& parts);

  // Where a schema stands; it must have been named by note() or flatten() before.
  [[nodiscard]] const std::string& pointer(const Value& schema) const;
  // Remembers that `child` stands in the keyword of `parent` (at an index or a name of it).
  void note(const Value& parent,
            std::string_view keyword,
            std::string_view place,
            const Value& child);

  // Whether a value satisfies a schema, by all supported keywords but "format" and "pattern", which
  // the caller answers by `matches`.
  using Matches = std::function<Result<bool>(const Value& schema, const std::string& text)>;
  Result<bool> satisfies(const Value& value, const SchemaPart& part, const Matches& matches);

 private:
  Status add(const SchemaPart& part,
             std::size_t depth,
             std::set<const Value*>& path,
             FlatSchema& out);
  Result<bool> satisfies_members(const Value& value, const Value& schema, const Matches& matches);
  Result<bool> satisfies_items(const Value& value, const Value& schema, const Matches& matches);

  const Value& root_;
  Budget& budget_;
  std::map<const Value*, std::string> pointers_;
  std::set<const Value*> checked_;
  std::size_t nesting_ = 0;
};

// The schemas of item `index`: what prefixItems, items and additionalItems of one schema object
// say. Null: nothing.
const Value* item_schema(const Value& schema, std::size_t index);
// Number of items that have a schema of their own.
std::size_t prefix_count(const Value& schema);

bool equal_values(const Value& a, const Value& b);
double number_of(const Value& value);

}  // namespace inferneo::text::grammar
