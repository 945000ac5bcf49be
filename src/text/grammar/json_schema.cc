#include "text/grammar/json_schema.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "text/grammar/code_points.h"
#include "text/grammar/determinise.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/schema_keywords.h"
#include "text/grammar/schema_numbers.h"
#include "text/grammar/schema_parts.h"
#include "text/grammar/schema_strings.h"
#include "text/json.h"

namespace inferneo::text::grammar {
namespace {

// Larger counts are as good as none.
constexpr std::uint32_t kCountMax = 1'000'000;

std::uint32_t read_count(const Value& value) {
  return static_cast<std::uint32_t>(std::min<double>(number_of(value), kCountMax));
}

NumberBound read_bound(const Value& value, bool excluded) {
  NumberBound bound;
  bound.value = number_of(value);
  if (const std::int64_t* integer = value.as_int()) bound.integer = *integer;
  bound.excluded = excluded;
  return bound;
}

// min..max of a count over all parts.
struct CountRange {
  std::uint32_t min = 0;
  std::uint32_t max = kRepeatForever;
};

CountRange count_range(const SchemaParts& parts, const char* min, const char* max) {
  CountRange range;
  for (const SchemaPart& part : parts) {
    if (const Value* low = part.schema->find(min))
      range.min = std::max(range.min, read_count(*low));
    if (const Value* high = part.schema->find(max))
      range.max = std::min(range.max, read_count(*high));
  }
  return range;
}

class SchemaCompiler {
 public:
  SchemaCompiler(Grammar& grammar, const Value& root, const SchemaOptions& options)
      : grammar_(grammar),
        e_(grammar.expressions),
        options_(options),
        reader_(root, grammar.expressions.budget()),
        strings_(grammar) {}

  Status compile(const Value& root, std::uint32_t& rule) {
    SchemaParts parts{{&root, 0}};
    if (options_.object_only) parts.push_back({&object_, 0});
    root_rule_ = rule_of(std::move(parts));
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const Open open = open_[i];
      RETURN_IF_ERROR(compile_rule(open));
      if (e_.budget().exhausted() || grammar_.rules.size() > limits::kGrammarRuleCountMax) {
        return Budget::failure();
      }
    }
    rule = root_rule_;
    return ok_status();
  }

 private:
  struct Open {
    std::uint32_t rule;
    SchemaParts parts;
  };

  // The rule of values that satisfy all parts; compiled later when it is new.
  std::uint32_t rule_of(SchemaParts parts) {
    SchemaParts key = parts;
    std::sort(key.begin(), key.end());
    key.erase(std::unique(key.begin(), key.end()), key.end());
    const auto [found, added] = rules_.try_emplace(std::move(key), 0);
    if (added) {
      const std::string& name = parts.empty() ? any_name_ : reader_.pointer(*parts.front().schema);
      found->second = grammar_.add_rule(name, e_.never());
      open_.push_back({found->second, std::move(parts)});
    }
    return found->second;
  }

  Status compile_rule(const Open& open) {
    ASSIGN_OR_RETURN(const FlatSchema flat, reader_.flatten(open.parts));
    if (flat.impossible) return ok_status();
    ExprId body = 0;
    if (flat.open_part != nullptr) {
      ASSIGN_OR_RETURN(body, alternatives(flat));
    } else {
      ASSIGN_OR_RETURN(body, value_of(flat.parts, open.rule == root_rule_));
    }
    grammar_.rules[open.rule].body = body;
    return ok_status();
  }

  Result<ExprId> alternatives(const FlatSchema& flat) {
    const Value& schema = *flat.open_part->schema;
    const bool one_of = std::string_view(flat.open_keyword) == "oneOf";
    const Value::List& list = *schema.find(flat.open_keyword)->as_list();
    for (std::size_t i = 0; i < list.size(); ++i) {
      reader_.note(schema, flat.open_keyword, str(i), list[i]);
    }
    if (one_of) RETURN_IF_ERROR(check_disjoint(schema, list));
    std::vector<ExprId> options;
    for (const Value& each : list) {
      SchemaParts parts = flat.parts;
      for (SchemaPart& part : parts) {
        if (part.schema == &schema) part.chosen |= one_of ? 2U : 1U;
      }
      parts.push_back({&each, 0});
      options.push_back(e_.rule(rule_of(std::move(parts))));
    }
    return e_.choice(std::move(options));
  }

  // oneOf is anyOf where no value can satisfy two alternatives.
  Status check_disjoint(const Value& schema, const Value::List& list) {
    std::vector<FlatSchema> flat;
    for (const Value& each : list) {
      ASSIGN_OR_RETURN(FlatSchema one, reader_.flatten({{&each, 0}}));
      flat.push_back(std::move(one));
    }
    for (std::size_t i = 0; i < flat.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        ASSIGN_OR_RETURN(const bool apart, disjoint(flat[i], flat[j], 0));
        if (apart) continue;
        return unsupported(
                   str("alternatives ",
                       j,
                       " and ",
                       i,
                       " of 'oneOf' may both fit a value, which cannot be excluded while it "
                       "is written; use anyOf, or give them types or consts that differ"))
            .with_where(pointer_to(reader_.pointer(schema), "oneOf"));
      }
    }
    return ok_status();
  }

  // True only when it is certain.
  Result<bool> disjoint(const FlatSchema& a, const FlatSchema& b, std::size_t depth) {
    if (a.impossible || b.impossible) return true;
    if (!e_.budget().spend(16)) return Budget::failure();
    const std::uint32_t common = explicit_types(a.parts) & explicit_types(b.parts);
    if (common == 0) return true;
    ASSIGN_OR_RETURN(const std::optional<std::vector<const Value*>> values, enumerated(a.parts));
    ASSIGN_OR_RETURN(const std::optional<std::vector<const Value*>> others, enumerated(b.parts));
    if (values || others) {
      for (const Value* value : values ? *values : *others) {
        ASSIGN_OR_RETURN(const bool shared, satisfies_all(*value, values ? b.parts : a.parts));
        if (shared) return false;
      }
      return true;
    }
    if (common != kObjectType || depth > 4) return false;
    return disjoint_members(a, b, depth);
  }

  // Objects that must both have a member that differs.
  Result<bool> disjoint_members(const FlatSchema& a, const FlatSchema& b, std::size_t depth) {
    for (const std::string& name : required_names(a.parts)) {
      const std::optional<SchemaParts> left = member_parts(a.parts, name);
      const std::optional<SchemaParts> right = member_parts(b.parts, name);
      if (!left || !right) return false;
      if (right->empty()) continue;
      ASSIGN_OR_RETURN(const FlatSchema flat_left, reader_.flatten(*left));
      ASSIGN_OR_RETURN(const FlatSchema flat_right, reader_.flatten(*right));
      // A name that the other refuses, or that it too demands with other values.
      const bool demanded = required_names(b.parts).contains(name);
      if (flat_right.impossible) return true;
      if (!demanded) continue;
      ASSIGN_OR_RETURN(const bool apart, disjoint(flat_left, flat_right, depth + 1));
      if (apart) return true;
    }
    for (const std::string& name : required_names(b.parts)) {
      const std::optional<SchemaParts> left = member_parts(a.parts, name);
      if (!left) return false;
      ASSIGN_OR_RETURN(const FlatSchema flat_left, reader_.flatten(*left));
      if (flat_left.impossible) return true;
    }
    return false;
  }

  static std::uint32_t explicit_types(const SchemaParts& parts) {
    std::uint32_t types = kAnyType;
    for (const SchemaPart& part : parts) {
      if (const Value* type = part.schema->find("type")) types &= types_of(*type);
    }
    return types;
  }

  static std::set<std::string> required_names(const SchemaParts& parts) {
    std::set<std::string> names;
    for (const SchemaPart& part : parts) {
      const Value* required = part.schema->find("required");
      if (required == nullptr) continue;
      for (const Value& name : *required->as_list()) names.insert(*name.as_string());
    }
    return names;
  }

  // Values of enum and const that satisfy everything; nothing when there is neither.
  Result<std::optional<std::vector<const Value*>>> enumerated(const SchemaParts& parts) {
    const Value* list = nullptr;
    const Value* single = nullptr;
    for (const SchemaPart& part : parts) {
      if (const Value* constant = part.schema->find("const")) single = constant;
      if (const Value* values = part.schema->find("enum")) list = list ? list : values;
    }
    if (list == nullptr && single == nullptr) return std::optional<std::vector<const Value*>>();
    std::vector<const Value*> candidates;
    if (single != nullptr) {
      candidates.push_back(single);
    } else {
      if (list->as_list()->size() > limits::kGrammarChoiceCountMax) return Budget::failure();
      for (const Value& value : *list->as_list()) candidates.push_back(&value);
    }
    std::vector<const Value*> kept;
    for (const Value* value : candidates) {
      ASSIGN_OR_RETURN(const bool good, satisfies_all(*value, parts));
      if (good) kept.push_back(value);
    }
    return std::optional(std::move(kept));
  }

  Result<bool> satisfies_all(const Value& value, const SchemaParts& parts) {
    const auto matches = [this](const Value& schema, const std::string& text) -> Result<bool> {
      return has_text_form(schema, text);
    };
    for (const SchemaPart& part : parts) {
      ASSIGN_OR_RETURN(const bool good, reader_.satisfies(value, part, matches));
      if (!good) return false;
    }
    return true;
  }

  Result<bool> has_text_form(const Value& schema, const std::string& text) {
    if (const Value* pattern = schema.find("pattern")) {
      ASSIGN_OR_RETURN(const Dfa* language, pattern_language(schema, *pattern->as_string()));
      if (!StringLanguages::contains(*language, text)) return false;
    }
    if (const Value* format = schema.find("format")) {
      ASSIGN_OR_RETURN(const Dfa* language, format_language(schema, *format->as_string()));
      if (language != nullptr && !StringLanguages::contains(*language, text)) return false;
    }
    return true;
  }

  Result<const Dfa*> pattern_language(const Value& schema, const std::string& pattern) {
    Result<const Dfa*> language = strings_.pattern(pattern);
    if (language.has_value()) return language;
    return std::move(language)
        .error()
        .with_context("the pattern")
        .with_where(pointer_to(reader_.pointer(schema), "pattern"));
  }

  Result<const Dfa*> format_language(const Value& schema, const std::string& name) {
    // Formats of numbers say what holds them.
    if (name == "int32" || name == "int64" || name == "float" || name == "double") {
      return static_cast<const Dfa*>(nullptr);
    }
    Result<const Dfa*> language = strings_.format(name);
    if (language.has_value()) return language;
    return std::move(language).error().with_where(pointer_to(reader_.pointer(schema), "format"));
  }

  // Types that are allowed. Without a "type", those that the other keywords speak about.
  static std::uint32_t allowed_types(const SchemaParts& parts) {
    std::uint32_t types = kAnyType;
    std::uint32_t spoken_of = 0;
    bool named = false;
    for (const SchemaPart& part : parts) {
      for (const auto& [name, value] : *part.schema->as_dict()) {
        if (name == "type") {
          types &= types_of(value);
          named = true;
        }
        if (name == "format" && value.as_string() != nullptr) {
          spoken_of |= is_number_format(*value.as_string()) ? kNumberType : kStringType;
        }
        const auto keywords = schema_keywords();
        const auto keyword = std::ranges::find(keywords, name, &Keyword::name);
        if (keyword != keywords.end()) spoken_of |= keyword->types;
      }
    }
    return named || spoken_of == 0 ? types : spoken_of;
  }

  static bool is_number_format(std::string_view name) {
    return name == "int32" || name == "int64" || name == "float" || name == "double";
  }

  [[nodiscard]] ExprId space() { return options_.compact ? e_.empty() : e_.rule(kJsonSpace); }

  Result<ExprId> value_of(const SchemaParts& parts, bool is_root) {
    // Checked whatever the type, so that none passes unseen.
    for (const SchemaPart& part : parts) {
      if (const Value* format = part.schema->find("format")) {
        RETURN_IF_ERROR(format_language(*part.schema, *format->as_string()).status());
      }
    }
    ASSIGN_OR_RETURN(const std::optional<std::vector<const Value*>> values, enumerated(parts));
    if (values) {
      std::vector<ExprId> options;
      for (const Value* value : *values) options.push_back(literal_value(*value));
      return e_.choice(std::move(options));
    }
    const std::uint32_t types = allowed_types(parts);
    std::vector<ExprId> options;
    if ((types & kNullType) != 0)
      options.push_back(e_.literal(options_.pythonic ? "None" : "null"));
    if ((types & kBooleanType) != 0) {
      options.push_back(e_.literal(options_.pythonic ? "True" : "true"));
      options.push_back(e_.literal(options_.pythonic ? "False" : "false"));
    }
    if ((types & kNumberType) != 0) {
      ASSIGN_OR_RETURN(const ExprId number, number_of_parts(parts, types));
      options.push_back(number);
    }
    if ((types & kStringType) != 0) {
      ASSIGN_OR_RETURN(const ExprId string, string_of(parts));
      options.push_back(string);
    }
    if ((types & kArrayType) != 0) {
      ASSIGN_OR_RETURN(const ExprId array, array_of(parts));
      options.push_back(array);
    }
    if ((types & kObjectType) != 0) {
      ASSIGN_OR_RETURN(const ExprId object, object_of(parts, is_root && options_.pythonic));
      options.push_back(object);
    }
    return e_.choice(std::move(options));
  }

  // A value as it is, with white space where it is optional.
  ExprId literal_value(const Value& value) {
    if (const bool* flag = value.as_bool(); flag != nullptr && options_.pythonic) {
      return e_.literal(*flag ? "True" : "False");
    }
    if (value.is_null() && options_.pythonic) return e_.literal("None");
    if (const std::string* text = value.as_string()) return json_literal(e_, *text);
    std::vector<ExprId> parts;
    const auto add_item = [&](ExprId item) {
      if (parts.size() > 1) parts.push_back(e_.literal(","));
      if (parts.size() > 1) parts.push_back(space());
      parts.push_back(item);
    };
    if (const Value::List* list = value.as_list()) {
      parts = {e_.literal("[")};
      for (const Value& item : *list) add_item(literal_value(item));
      parts.push_back(e_.literal("]"));
      return e_.sequence(std::move(parts));
    }
    if (const Value::Dict* dict = value.as_dict()) {
      parts = {e_.literal("{")};
      for (const auto& [name, member] : *dict) {
        add_item(
            e_.sequence({json_literal(e_, name), e_.literal(":"), space(), literal_value(member)}));
      }
      parts.push_back(e_.literal("}"));
      return e_.sequence(std::move(parts));
    }
    return e_.literal(to_json(value));
  }

  Result<ExprId> number_of_parts(const SchemaParts& parts, std::uint32_t types) {
    NumberRules rules;
    for (const SchemaPart& part : parts) {
      const Value& schema = *part.schema;
      if (const Value* b = schema.find("minimum")) tighten_low(rules, read_bound(*b, false));
      if (const Value* b = schema.find("exclusiveMinimum"))
        tighten_low(rules, read_bound(*b, true));
      if (const Value* b = schema.find("maximum")) tighten_high(rules, read_bound(*b, false));
      if (const Value* b = schema.find("exclusiveMaximum"))
        tighten_high(rules, read_bound(*b, true));
      if (const Value* format = schema.find("format"); format && *format->as_string() == "int32") {
        tighten_low(rules, {-2147483648.0, INT32_MIN, false});
        tighten_high(rules, {2147483647.0, INT32_MAX, false});
      }
      if (const Value* step = schema.find("multipleOf")) {
        RETURN_IF_ERROR(add_multiple(schema, *step, rules));
      }
    }
    // Multiples of integers are integers.
    const bool integers = (types & kFractionType) == 0 || rules.multiple_of.has_value();
    if (!rules.bounded()) return e_.rule(integers ? kJsonInteger : kJsonNumber);
    Result<Dfa> dfa = integers ? integer_language(e_, rules) : decimal_language(e_, rules);
    if (!dfa.has_value()) {
      return std::move(dfa).error().with_where(reader_.pointer(*parts.front().schema));
    }
    return e_.dfa(*std::move(dfa));
  }

  Status add_multiple(const Value& schema, const Value& step, NumberRules& rules) {
    const double value = number_of(step);
    std::string where = pointer_to(reader_.pointer(schema), "multipleOf");
    if (!(value > 0)) {
      return invalid_argument("'multipleOf' must be above 0").with_where(std::move(where));
    }
    const auto integer = static_cast<std::int64_t>(std::min(value, 1e15));
    if (static_cast<double>(integer) != value) {
      return unsupported("a 'multipleOf' that is no integer is not supported")
          .with_where(std::move(where));
    }
    std::int64_t a = rules.multiple_of.value_or(1);
    for (std::int64_t b = integer; b != 0;) a = std::exchange(b, a % b);
    const std::int64_t joined = rules.multiple_of.value_or(1) / a;
    if (integer > 1'000'000 || joined * integer > 1'000) {
      return unsupported("a 'multipleOf' above 1000 is not supported").with_where(std::move(where));
    }
    rules.multiple_of = joined * integer;
    return ok_status();
  }

  Result<ExprId> string_of(const SchemaParts& parts) {
    const CountRange range = count_range(parts, "minLength", "maxLength");
    if (range.min > range.max) return e_.never();
    std::optional<Dfa> language;
    const auto restrict_to = [&](const Dfa& other) -> Status {
      if (!language) {
        language = other;
        return ok_status();
      }
      language = intersect(*language, other, e_.budget());
      return language ? ok_status() : Budget::failure();
    };
    for (const SchemaPart& part : parts) {
      if (const Value* pattern = part.schema->find("pattern")) {
        ASSIGN_OR_RETURN(const Dfa* dfa, pattern_language(*part.schema, *pattern->as_string()));
        RETURN_IF_ERROR(restrict_to(*dfa));
      }
      if (const Value* format = part.schema->find("format")) {
        ASSIGN_OR_RETURN(const Dfa* dfa, format_language(*part.schema, *format->as_string()));
        if (dfa != nullptr) RETURN_IF_ERROR(restrict_to(*dfa));
      }
    }
    const bool counted = range.min > 0 || range.max != kRepeatForever;
    const ExprId quote = e_.literal("\"");
    if (!language && !counted) return e_.rule(kJsonString);
    if (!language) {
      const auto [found, added] = counted_.try_emplace({range.min, range.max}, 0);
      if (added) found->second = add_counted_string(grammar_, range.min, range.max);
      return e_.sequence({quote, e_.rule(found->second)});
    }
    if (counted) {
      ASSIGN_OR_RETURN(const Dfa length, strings_.length(range.min, range.max));
      RETURN_IF_ERROR(restrict_to(length));
    }
    return e_.sequence({quote, e_.dfa(minimise(*std::move(language), e_.budget())), quote});
  }

  ExprId item_of(const SchemaParts& parts, std::size_t index) {
    SchemaParts inner;
    for (const SchemaPart& part : parts) {
      const Value* schema = item_schema(*part.schema, index);
      if (schema == nullptr) continue;
      const bool prefix = index < prefix_count(*part.schema);
      const char* keyword = prefix && part.schema->find("prefixItems") ? "prefixItems" : "items";
      reader_.note(*part.schema, keyword, prefix ? str(index) : "", *schema);
      inner.push_back({schema, 0});
    }
    return any_or(std::move(inner));
  }

  ExprId any_or(SchemaParts parts) {
    if (!parts.empty()) return e_.rule(rule_of(std::move(parts)));
    if (options_.pythonic) return e_.rule(rule_of({{&anything_, 0}}));
    return e_.rule(options_.compact ? kJsonCompactValue : kJsonValue);
  }

  // Items with an own schema each, then any number of the same.
  Result<ExprId> array_of(const SchemaParts& parts) {
    const CountRange range = count_range(parts, "minItems", "maxItems");
    if (range.min > range.max) return e_.never();
    std::size_t prefix = 0;
    for (const SchemaPart& part : parts) prefix = std::max(prefix, prefix_count(*part.schema));
    prefix = std::min<std::size_t>(prefix, range.max);
    const ExprId separator = e_.sequence({e_.literal(","), space()});
    // Points of the graph: 0 before the first item, 1 the end, then one behind each item.
    ExprGraph graph;
    std::uint32_t at = 0;
    const ExprId close = e_.sequence({space(), e_.literal("]")});
    const auto end_at = [&](std::uint32_t point, std::size_t count) {
      if (count >= range.min)
        graph.edges.push_back({point, 1, count == 0 ? e_.literal("]") : close});
    };
    end_at(0, 0);
    std::size_t count = 0;
    const auto add_item = [&](ExprId item) {
      const std::uint32_t next = graph.point_count++;
      graph.edges.push_back({at, next, count == 0 ? item : e_.sequence({separator, item})});
      at = next;
      ++count;
      end_at(at, count);
    };
    for (std::size_t i = 0; i < prefix; ++i) add_item(item_of(parts, i));
    const ExprId rest = item_of(parts, prefix);
    if (range.max == kRepeatForever) {
      do {
        add_item(rest);
        if (e_.budget().exhausted()) return Budget::failure();
      } while (count < range.min);
      graph.edges.push_back({at, at, e_.sequence({separator, rest})});
    } else {
      while (count < range.max) {
        add_item(rest);
        if (e_.budget().exhausted()) return Budget::failure();
      }
    }
    return e_.sequence({e_.literal("["), space(), e_.graph(std::move(graph))});
  }

  // What the members of a name must satisfy; nothing when that hangs on a pattern that cannot be
  // decided.
  std::optional<SchemaParts> member_parts(const SchemaParts& parts, const std::string& name) {
    SchemaParts inner;
    for (const SchemaPart& part : parts) {
      bool named = false;
      const Value* properties = part.schema->find("properties");
      if (const Value* own = properties == nullptr ? nullptr : properties->find(name)) {
        reader_.note(*part.schema, "properties", name, *own);
        inner.push_back({own, 0});
        named = true;
      }
      if (const Value* patterns = part.schema->find("patternProperties")) {
        for (const auto& [pattern, schema] : *patterns->as_dict()) {
          const Result<const Dfa*> language = strings_.pattern(pattern);
          if (!language.has_value()) return std::nullopt;
          if (!StringLanguages::contains(**language, name)) continue;
          reader_.note(*part.schema, "patternProperties", pattern, schema);
          inner.push_back({&schema, 0});
          named = true;
        }
      }
      const Value* additional = part.schema->find("additionalProperties");
      if (named || additional == nullptr) continue;
      reader_.note(*part.schema, "additionalProperties", "", *additional);
      inner.push_back({additional, 0});
    }
    return inner;
  }

  // Nothing is said about members.
  static bool is_free(const SchemaParts& parts) {
    return std::ranges::all_of(parts, [](const SchemaPart& part) {
      const Value* additional = part.schema->find("additionalProperties");
      return additional == nullptr ||
             (additional->as_bool() != nullptr && *additional->as_bool()) ||
             (additional->as_dict() != nullptr && additional->as_dict()->empty());
    });
  }

  struct Member {
    std::string name;
    bool required = false;
    ExprId pair = 0;
  };

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

Result<std::vector<SchemaCompiler::Member>> SchemaCompiler::members_of(const SchemaParts& parts,
                                                                       bool as_arguments) {
  std::vector<Member> members;
  std::set<std::string> seen;
  const std::set<std::string> required = required_names(parts);
  const auto add = [&](const std::string& name) -> Status {
    if (!seen.insert(name).second) return ok_status();
    if (!e_.budget().spend(32 + name.size())) return Budget::failure();
    const std::optional<SchemaParts> inner = member_parts(parts, name);
    if (!inner) return unsupported("a pattern of 'patternProperties' is not supported");
    ExprId key = 0;
    if (as_arguments) {
      key = e_.sequence({e_.literal(name), e_.literal("=")});
    } else {
      key = e_.sequence({json_literal(e_, name), e_.literal(":"), space()});
    }
    members.push_back({name, required.contains(name), e_.sequence({key, any_or(*inner)})});
    return ok_status();
  };
  for (const SchemaPart& part : parts) {
    const Value* properties = part.schema->find("properties");
    if (properties == nullptr) continue;
    for (const auto& [name, schema] : *properties->as_dict()) RETURN_IF_ERROR(add(name));
  }
  // Names that are demanded but not described.
  for (const SchemaPart& part : parts) {
    const Value* list = part.schema->find("required");
    if (list == nullptr) continue;
    for (const Value& name : *list->as_list()) RETURN_IF_ERROR(add(*name.as_string()));
  }
  return members;
}

// Behind the opening quote: any name but those of the members, with the closing quote. Names that
// leave the known ones behind are read by the rule of all names, so that their masks are shared.
Result<ExprId> SchemaCompiler::key_except(const std::vector<Member>& members) {
  if (members.empty()) return e_.rule(kJsonKeyRest);
  std::vector<ExprId> names;
  for (const Member& member : members) {
    names.push_back(e_.literal(spell_text(member.name, Spelling::kInJson)));
  }
  ASSIGN_OR_RETURN(const Dfa known, determinise(e_, e_.choice(std::move(names))));
  const Dfa& any = strings_.any();
  if (any.empty()) return Budget::failure();
  Dfa key;
  key.states.resize(2);
  constexpr std::uint32_t kEnd = 1;
  key.states[kEnd].final = true;
  // A state: the state among all names, and that among the known ones (or none).
  using Pair = std::pair<std::uint32_t, std::uint32_t>;
  constexpr std::uint32_t kNone = UINT32_MAX;
  std::map<Pair, std::uint32_t> ids{{{0, 0}, 0}};
  std::vector<std::pair<Pair, std::uint32_t>> open{{{0, 0}, 0}};
  while (!open.empty()) {
    const auto [pair, id] = open.back();
    open.pop_back();
    const bool boundary = any.states[pair.first].final;
    if (pair.second == kNone && boundary) {
      key.states[id].calls.push_back({kJsonKeyRest, kEnd});
      continue;
    }
    std::vector<DfaEdge> edges;
    for (int byte = 0; byte < 256; ++byte) {
      const auto b = static_cast<std::uint8_t>(byte);
      if (b == '"' && boundary) {
        if (!known.states[pair.second].final) edges.push_back({b, b, kEnd});
        continue;
      }
      const auto next = next_state(any.states[pair.first], b);
      if (!next) continue;
      const auto named =
          pair.second == kNone ? std::nullopt : next_state(known.states[pair.second], b);
      const Pair target{*next, named.value_or(kNone)};
      const auto [found, added] =
          ids.try_emplace(target, static_cast<std::uint32_t>(key.states.size()));
      if (added) {
        key.states.emplace_back();
        open.emplace_back(target, found->second);
      }
      if (!edges.empty() && edges.back().target == found->second && edges.back().high + 1 == byte) {
        edges.back().high = b;
      } else {
        edges.push_back({b, b, found->second});
      }
    }
    if (!e_.budget().spend(64 + edges.size())) return Budget::failure();
    key.states[id].edges = std::move(edges);
  }
  return e_.dfa(std::move(key));
}

// Names beyond the described ones: those of each pattern, then all others.
Result<std::vector<ExprId>> SchemaCompiler::extra_pairs(const SchemaParts& parts,
                                                        const std::vector<Member>& members) {
  std::vector<ExprId> pairs;
  SchemaParts others;
  std::set<std::string> patterns;
  bool closed = false;
  for (const SchemaPart& part : parts) {
    if (const Value* additional = part.schema->find("additionalProperties")) {
      reader_.note(*part.schema, "additionalProperties", "", *additional);
      others.push_back({additional, 0});
      const bool* constant = additional->as_bool();
      closed = closed || (constant != nullptr && !*constant);
    }
    const Value* list = part.schema->find("patternProperties");
    if (list == nullptr) continue;
    for (const auto& [pattern, schema] : *list->as_dict()) patterns.insert(pattern);
  }
  const ExprId quote = e_.literal("\"");
  const auto pair = [&](ExprId key, ExprId value) {
    return e_.sequence({quote, key, e_.literal(":"), space(), value});
  };
  if (patterns.empty()) {
    if (closed) return pairs;
    ASSIGN_OR_RETURN(const ExprId key, key_except(members));
    pairs.push_back(pair(key, any_or(std::move(others))));
    return pairs;
  }
  // With patterns: languages of names, apart from each other.
  std::vector<ExprId> names;
  for (const Member& member : members) {
    names.push_back(e_.literal(spell_text(member.name, Spelling::kInJson)));
  }
  ASSIGN_OR_RETURN(const Dfa known, determinise(e_, e_.choice(std::move(names))));
  std::optional<Dfa> rest = subtract(strings_.any(), known, e_.budget());
  if (!rest) return Budget::failure();
  for (const std::string& pattern : patterns) {
    Result<const Dfa*> language = strings_.pattern(pattern);
    if (!language.has_value()) {
      return std::move(language).error().with_where(pointer_to(
          pointer_to(reader_.pointer(*parts.front().schema), "patternProperties"), pattern));
    }
    std::optional<Dfa> fitting = intersect(*rest, **language, e_.budget());
    std::optional<Dfa> left = fitting ? subtract(*rest, **language, e_.budget()) : std::nullopt;
    if (!left) return Budget::failure();
    rest = std::move(left);
    for (const std::string& other : patterns) {
      if (other == pattern) continue;
      ASSIGN_OR_RETURN(const Dfa* second, strings_.pattern(other));
      const std::optional<Dfa> both = intersect(**language, *second, e_.budget());
      if (!both) return Budget::failure();
      if (both->empty()) continue;
      return unsupported(
                 str("the patterns '",
                     printable(pattern),
                     "' and '",
                     printable(other),
                     "' of 'patternProperties' may both fit a name, which is not supported"))
          .with_where(pointer_to(reader_.pointer(*parts.front().schema), "patternProperties"));
    }
    // Every name of the language has the same schemas; any one of them finds these.
    SchemaParts inner;
    for (const SchemaPart& part : parts) {
      const Value* list = part.schema->find("patternProperties");
      const Value* own = list == nullptr ? nullptr : list->find(pattern);
      if (own != nullptr) {
        reader_.note(*part.schema, "patternProperties", pattern, *own);
        inner.push_back({own, 0});
      } else if (const Value* additional = part.schema->find("additionalProperties")) {
        inner.push_back({additional, 0});
      }
    }
    if (fitting->empty()) continue;
    const ExprId key = e_.sequence({e_.dfa(minimise(*std::move(fitting), e_.budget())), quote});
    pairs.push_back(pair(key, any_or(std::move(inner))));
  }
  if (!closed && !rest->empty()) {
    const ExprId key = e_.sequence({e_.dfa(minimise(*std::move(rest), e_.budget())), quote});
    pairs.push_back(pair(key, any_or(std::move(others))));
  }
  return pairs;
}

// Described members in their order, the optional ones or not, then others. Points: for each member
// and each count that matters, one before it without a comma and one with.
ExprId SchemaCompiler::object_graph(const std::vector<Member>& members,
                                    const std::vector<ExprId>& extras,
                                    CountRange range,
                                    bool as_arguments) {
  const bool counted = range.min > 0 || range.max != kRepeatForever;
  // Counts beyond this one are all alike.
  const std::uint32_t count_max = !counted                      ? 1
                                  : range.max != kRepeatForever ? range.max
                                                                : std::max(1U, range.min);
  const auto columns = count_max + 1;
  ExprGraph graph;
  graph.point_count = static_cast<std::uint32_t>(2 + (members.size() + 1) * columns);
  if (!e_.budget().spend(graph.point_count * 4)) return e_.never();
  const auto point = [&](std::size_t member, std::uint32_t count) {
    return static_cast<std::uint32_t>(2 + member * columns + count);
  };
  const ExprId comma = e_.sequence({e_.literal(","), space()});
  const auto with_comma = [&](ExprId pair, std::uint32_t count) {
    return count == 0 ? pair : e_.sequence({comma, pair});
  };
  const auto next_count = [&](std::uint32_t count) -> std::optional<std::uint32_t> {
    if (count < count_max) return count + 1;
    return counted && range.max != kRepeatForever ? std::nullopt : std::optional(count);
  };
  const ExprId nothing = e_.empty();
  const ExprId close =
      e_.sequence({as_arguments ? nothing : space(), as_arguments ? nothing : e_.literal("}")});
  graph.edges.push_back(
      {0, point(0, 0), as_arguments ? nothing : e_.sequence({e_.literal("{"), space()})});
  for (std::uint32_t count = 0; count < columns; ++count) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (const auto next = next_count(count)) {
        graph.edges.push_back(
            {point(i, count), point(i + 1, *next), with_comma(members[i].pair, count)});
      }
      if (!members[i].required)
        graph.edges.push_back({point(i, count), point(i + 1, count), nothing});
    }
    const std::uint32_t last = point(members.size(), count);
    for (const ExprId extra : extras) {
      if (const auto next = next_count(count)) {
        graph.edges.push_back({last, point(members.size(), *next), with_comma(extra, count)});
      }
    }
    if (count < range.min) continue;
    const bool empty = count == 0 && !as_arguments;
    graph.edges.push_back({last, 1, empty ? e_.literal("}") : close});
  }
  return e_.graph(std::move(graph));
}

Result<ExprId> SchemaCompiler::object_of(const SchemaParts& parts, bool as_arguments) {
  const CountRange range = count_range(parts, "minProperties", "maxProperties");
  if (range.min > range.max) return e_.never();
  ASSIGN_OR_RETURN(const std::vector<Member> members, members_of(parts, as_arguments));
  std::vector<ExprId> extras;
  if (!as_arguments) {
    ASSIGN_OR_RETURN(extras, extra_pairs(parts, members));
  }
  const auto required = static_cast<std::uint32_t>(
      std::ranges::count_if(members, [](const Member& member) { return member.required; }));
  if (range.min > required && !extras.empty()) {
    return unsupported(
               "'minProperties' is not supported where names beyond the required ones are free: "
               "the "
               "same name could be written twice")
        .with_where(reader_.pointer(*parts.front().schema));
  }
  if (members.empty() && extras.size() == 1 && range.max == kRepeatForever && !as_arguments &&
      !options_.pythonic && is_free(parts)) {
    return e_.rule(options_.compact ? kJsonCompactObject : kJsonObject);
  }
  return object_graph(members, extras, range, as_arguments);
}

}  // namespace

Status add_schema(Grammar& grammar,
                  const Value& schema,
                  const SchemaOptions& options,
                  std::uint32_t& root) {
  if (schema.as_dict() == nullptr && schema.as_bool() == nullptr) {
    return invalid_argument("a schema must be an object or a boolean").with_where("#");
  }
  return SchemaCompiler(grammar, schema, options).compile(schema, root);
}

}  // namespace inferneo::text::grammar
