// The compiler behind add_schema(): rules of the values that satisfy all of some schemas. Split
// over files by subject: schema_compiler.cc (rules and their order), schema_alternatives.cc (anyOf,
// oneOf, enum and const), schema_values.cc (types, numbers, strings, arrays), schema_objects.cc.
// Thread: one owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_parts.h"
#include "text/grammar/schema_strings.h"
#include "text/value.h"

namespace inferneo::text::grammar {

// min..max of a count over all parts.
struct CountRange {
  std::uint32_t min = 0;
  std::uint32_t max = kRepeatForever;
};
CountRange count_range(const SchemaParts& parts, const char* min, const char* max);

class SchemaCompiler {
 public:
  SchemaCompiler(Grammar& grammar, const Value& root, const SchemaOptions& options)
      : grammar_(grammar),
        e_(grammar.expressions),
        options_(options),
        reader_(root, grammar.expressions.budget()),
        strings_(grammar) {}

  // Adds the rule of values that satisfy `root`. Failures: as add_schema().
  Status compile(const Value& root, std::uint32_t& rule);

 private:
  struct Open {
    std::uint32_t rule;
    SchemaParts parts;
  };
  struct Member {
    std::string name;
    bool required = false;
    ExprId pair = 0;
  };

  // The rule of values that satisfy all parts; compiled later when it is new.
  std::uint32_t rule_of(SchemaParts parts);
  Status compile_rule(const Open& open);
  ExprId any_or(SchemaParts parts);
  [[nodiscard]] ExprId space();

  // Alternatives.
  Result<ExprId> alternatives(const FlatSchema& flat);
  // oneOf is anyOf where no value can satisfy two alternatives.
  Status check_disjoint(const Value& schema, const Value::List& list);
  // True only when it is certain.
  Result<bool> disjoint(const FlatSchema& a, const FlatSchema& b, std::size_t depth);
  // Objects that must both have a member that differs.
  Result<bool> disjoint_members(const FlatSchema& a, const FlatSchema& b, std::size_t depth);
  static std::uint32_t explicit_types(const SchemaParts& parts);
  static std::set<std::string> required_names(const SchemaParts& parts);
  // Values of enum and const that satisfy everything; nothing when there is neither.
  Result<std::optional<std::vector<const Value*>>> enumerated(const SchemaParts& parts);
  Result<bool> satisfies_all(const Value& value, const SchemaParts& parts);
  Result<bool> has_text_form(const Value& schema, const std::string& text);
  Result<const Dfa*> pattern_language(const Value& schema, const std::string& pattern);
  Result<const Dfa*> format_language(const Value& schema, const std::string& name);

  // Values by type.
  // Types that are allowed. Without a "type", those that the other keywords speak about.
  static std::uint32_t allowed_types(const SchemaParts& parts);
  Result<ExprId> value_of(const SchemaParts& parts, bool is_root);
  // A value as it is, with white space where it is optional.
  ExprId literal_value(const Value& value);
  Result<ExprId> number_of_parts(const SchemaParts& parts, std::uint32_t types);
  Status add_multiple(const Value& schema, const Value& step, NumberRules& rules);
  Result<ExprId> string_of(const SchemaParts& parts);
  ExprId item_of(const SchemaParts& parts, std::size_t index);
  // Items with an own schema each, then any number of the same.
  Result<ExprId> array_of(const SchemaParts& parts);

  // Objects.
  // What the members of a name must satisfy; nothing when that hangs on a pattern that cannot be
  // decided.
  std::optional<SchemaParts> member_parts(const SchemaParts& parts, const std::string& name);
  // Nothing is said about members.
  static bool is_free(const SchemaParts& parts);
  Result<ExprId> object_of(const SchemaParts& parts, bool as_arguments);
  Result<std::vector<Member>> members_of(const SchemaParts& parts, bool as_arguments);
  Result<std::vector<ExprId>> extra_pairs(const SchemaParts& parts,
                                          const std::vector<Member>& members);
  Result<ExprId> key_except(const std::vector<Member>& members);
  ExprId object_graph(const std::vector<Member>& members,
                      const std::vector<ExprId>& extras,
                      CountRange range,
                      bool as_arguments);

  const std::string any_name_ = "any value";
  const Value anything_ = Value(Value::Dict{});
  const Value object_ = Value(Value::Dict{{"type", Value("object")}});

  Grammar& grammar_;
  Expressions& e_;
  const SchemaOptions options_;
  SchemaReader reader_;
  StringLanguages strings_;
  std::uint32_t root_rule_ = 0;
  // By parts in ascending order: equal sets stand for equal languages.
  std::map<SchemaParts, std::uint32_t> rules_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> counted_;
  std::vector<Open> open_;
};

}  // namespace inferneo::text::grammar
