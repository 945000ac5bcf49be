#include "text/grammar/schema_compiler.h"

#include "base/str.h"
#include "text/grammar/code_points.h"
#include "text/grammar/determinise.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/schema_keywords.h"
#include "text/grammar/schema_numbers.h"
#include "text/json.h"

namespace inferneo::text::grammar {
namespace {

NumberBound read_bound(const Value& value, bool excluded) {
  NumberBound bound;
  bound.value = number_of(value);
  if (const std::int64_t* integer = value.as_int()) bound.integer = *integer;
  bound.excluded = excluded;
  return bound;
}

bool is_number_format(std::string_view name) {
  return name == "int32" || name == "int64" || name == "float" || name == "double";
}

}  // namespace

std::uint32_t SchemaCompiler::allowed_types(const SchemaParts& parts) {
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

Result<ExprId> SchemaCompiler::value_of(const SchemaParts& parts, bool is_root) {
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
  if ((types & kNullType) != 0) options.push_back(e_.literal(options_.pythonic ? "None" : "null"));
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

ExprId SchemaCompiler::literal_value(const Value& value) {
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

Result<ExprId> SchemaCompiler::number_of_parts(const SchemaParts& parts, std::uint32_t types) {
  NumberRules rules;
  for (const SchemaPart& part : parts) {
    const Value& schema = *part.schema;
    if (const Value* b = schema.find("minimum")) tighten_low(rules, read_bound(*b, false));
    if (const Value* b = schema.find("exclusiveMinimum")) tighten_low(rules, read_bound(*b, true));
    if (const Value* b = schema.find("maximum")) tighten_high(rules, read_bound(*b, false));
    if (const Value* b = schema.find("exclusiveMaximum")) tighten_high(rules, read_bound(*b, true));
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

Status SchemaCompiler::add_multiple(const Value& schema, const Value& step, NumberRules& rules) {
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

Result<ExprId> SchemaCompiler::string_of(const SchemaParts& parts) {
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

ExprId SchemaCompiler::item_of(const SchemaParts& parts, std::size_t index) {
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

Result<ExprId> SchemaCompiler::array_of(const SchemaParts& parts) {
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
    if (count >= range.min) graph.edges.push_back({point, 1, count == 0 ? e_.literal("]") : close});
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

}  // namespace inferneo::text::grammar
