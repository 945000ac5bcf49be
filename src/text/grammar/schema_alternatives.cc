#include "text/grammar/schema_compiler.h"

#include "base/limits.h"
#include "base/str.h"
#include "text/grammar/schema_keywords.h"

namespace inferneo::text::grammar {

Result<ExprId> SchemaCompiler::alternatives(const FlatSchema& flat) {
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

Status SchemaCompiler::check_disjoint(const Value& schema, const Value::List& list) {
  std::vector<FlatSchema> flat;
  for (const Value& each : list) {
    ASSIGN_OR_RETURN(FlatSchema one, reader_.flatten({{&each, 0}}));
    flat.push_back(std::move(one));
  }
  for (std::size_t i = 0; i < flat.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      ASSIGN_OR_RETURN(const bool apart, disjoint(flat[i], flat[j], 0));
      if (apart) continue;
      return unsupported(str("alternatives ",
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

Result<bool> SchemaCompiler::disjoint(const FlatSchema& a, const FlatSchema& b, std::size_t depth) {
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

Result<bool> SchemaCompiler::disjoint_members(const FlatSchema& a,
                                              const FlatSchema& b,
                                              std::size_t depth) {
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

std::uint32_t SchemaCompiler::explicit_types(const SchemaParts& parts) {
  std::uint32_t types = kAnyType;
  for (const SchemaPart& part : parts) {
    if (const Value* type = part.schema->find("type")) types &= types_of(*type);
  }
  return types;
}

std::set<std::string> SchemaCompiler::required_names(const SchemaParts& parts) {
  std::set<std::string> names;
  for (const SchemaPart& part : parts) {
    const Value* required = part.schema->find("required");
    if (required == nullptr) continue;
    for (const Value& name : *required->as_list()) names.insert(*name.as_string());
  }
  return names;
}

Result<std::optional<std::vector<const Value*>>> SchemaCompiler::enumerated(
    const SchemaParts& parts) {
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

Result<bool> SchemaCompiler::satisfies_all(const Value& value, const SchemaParts& parts) {
  const auto matches = [this](const Value& schema, const std::string& text) -> Result<bool> {
    return has_text_form(schema, text);
  };
  for (const SchemaPart& part : parts) {
    ASSIGN_OR_RETURN(const bool good, reader_.satisfies(value, part, matches));
    if (!good) return false;
  }
  return true;
}

Result<bool> SchemaCompiler::has_text_form(const Value& schema, const std::string& text) {
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

Result<const Dfa*> SchemaCompiler::pattern_language(const Value& schema,
                                                    const std::string& pattern) {
  Result<const Dfa*> language = strings_.pattern(pattern);
  if (language.has_value()) return language;
  return std::move(language)
      .error()
      .with_context("the pattern")
      .with_where(pointer_to(reader_.pointer(schema), "pattern"));
}

Result<const Dfa*> SchemaCompiler::format_language(const Value& schema, const std::string& name) {
  // Formats of numbers say what holds them.
  if (name == "int32" || name == "int64" || name == "float" || name == "double") {
    return static_cast<const Dfa*>(nullptr);
  }
  Result<const Dfa*> language = strings_.format(name);
  if (language.has_value()) return language;
  return std::move(language).error().with_where(pointer_to(reader_.pointer(schema), "format"));
}

}  // namespace inferneo::text::grammar
