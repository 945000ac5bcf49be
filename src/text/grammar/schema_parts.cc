#include "text/grammar/schema_parts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/grammar/schema_keywords.h"

namespace inferneo::text::grammar {
namespace {

constexpr std::array<const char*, 2> kAlternatives{"anyOf", "oneOf"};

std::size_t count_of(const Value& value) {
  const std::int64_t* integer = value.as_int();
  return static_cast<std::size_t>(integer != nullptr ? static_cast<double>(*integer)
                                                     : number_of(value));
}

std::size_t character_count(const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += utf8::decode(text, at).size) ++count;
  return count;
}

// The keywords whose answer is one comparison.
bool keeps_bounds(const Value& value, const Value& schema) {
  const auto bound = [&](const char* name) { return schema.find(name); };
  if (value.as_int() != nullptr || value.as_double() != nullptr) {
    const double number = number_of(value);
    if (const Value* b = bound("minimum"); b && !(number >= number_of(*b))) return false;
    if (const Value* b = bound("maximum"); b && !(number <= number_of(*b))) return false;
    if (const Value* b = bound("exclusiveMinimum"); b && !(number > number_of(*b))) return false;
    if (const Value* b = bound("exclusiveMaximum"); b && !(number < number_of(*b))) return false;
    if (const Value* b = bound("multipleOf"); b && std::fmod(number, number_of(*b)) != 0)
      return false;
  }
  const auto in_range = [&](std::size_t size, const char* min, const char* max) {
    if (const Value* b = bound(min); b && size < count_of(*b)) return false;
    const Value* b = bound(max);
    return b == nullptr || size <= count_of(*b);
  };
  if (const std::string* text = value.as_string()) {
    return in_range(character_count(*text), "minLength", "maxLength");
  }
  if (const Value::List* list = value.as_list()) {
    return in_range(list->size(), "minItems", "maxItems");
  }
  if (const Value::Dict* dict = value.as_dict()) {
    return in_range(dict->size(), "minProperties", "maxProperties");
  }
  return true;
}

}  // namespace

double number_of(const Value& value) {
  if (const std::int64_t* integer = value.as_int()) return static_cast<double>(*integer);
  const double* number = value.as_double();
  return number == nullptr ? 0 : *number;
}

bool equal_values(const Value& a, const Value& b) {
  if ((type_bit(a) & kNumberType) != 0 && (type_bit(b) & kNumberType) != 0) {
    if (a.as_int() != nullptr && b.as_int() != nullptr) return *a.as_int() == *b.as_int();
    return number_of(a) == number_of(b);
  }
  if (type_bit(a) != type_bit(b)) return false;
  if (const bool* flag = a.as_bool()) return *flag == *b.as_bool();
  if (const std::string* text = a.as_string()) return *text == *b.as_string();
  if (const Value::List* list = a.as_list()) {
    return std::ranges::equal(*list, *b.as_list(), equal_values);
  }
  if (const Value::Dict* dict = a.as_dict()) {
    return dict->size() == b.as_dict()->size() &&
           std::ranges::all_of(*dict, [&](const auto& member) {
             const Value* other = b.find(member.first);
             return other != nullptr && equal_values(member.second, *other);
           });
  }
  return true;
}

std::size_t prefix_count(const Value& schema) {
  if (const Value* prefix = schema.find("prefixItems")) return prefix->as_list()->size();
  const Value* items = schema.find("items");
  return items != nullptr && items->as_list() != nullptr ? items->as_list()->size() : 0;
}

const Value* item_schema(const Value& schema, std::size_t index) {
  const Value* prefix = schema.find("prefixItems");
  const Value* items = schema.find("items");
  // Earlier drafts: the list stands in items, the rest in additionalItems.
  if (prefix == nullptr && items != nullptr && items->as_list() != nullptr) {
    prefix = items;
    items = schema.find("additionalItems");
  }
  if (prefix != nullptr && index < prefix->as_list()->size()) return &(*prefix->as_list())[index];
  return items;
}

const std::string& SchemaReader::pointer(const Value& schema) const {
  static const std::string kUnknown = "#";
  const auto found = pointers_.find(&schema);
  return found == pointers_.end() ? kUnknown : found->second;
}

void SchemaReader::note(const Value& parent,
                        std::string_view keyword,
                        std::string_view place,
                        const Value& child) {
  if (pointers_.contains(&child)) return;
  std::string where = pointer_to(pointer(parent), keyword);
  if (!place.empty()) where = pointer_to(where, place);
  pointers_.emplace(&child, std::move(where));
}

Result<FlatSchema> SchemaReader::flatten(const SchemaParts& parts) {
  FlatSchema out;
  for (const SchemaPart& part : parts) {
    std::set<const Value*> path;
    RETURN_IF_ERROR(add(part, 0, path, out));
  }
  // A schema whose alternatives are chosen and the same one untouched: the choice counts for both.
  SchemaParts kept;
  std::map<const Value*, std::size_t> places;
  for (const SchemaPart& part : out.parts) {
    const auto [found, added] = places.try_emplace(part.schema, kept.size());
    if (added) {
      kept.push_back(part);
    } else {
      kept[found->second].chosen |= part.chosen;
    }
  }
  out.parts = std::move(kept);
  for (const SchemaPart& part : out.parts) {
    for (std::size_t i = 0; i < kAlternatives.size() && out.open_part == nullptr; ++i) {
      if ((part.chosen >> i & 1U) != 0 || part.schema->find(kAlternatives[i]) == nullptr) continue;
      out.open_part = &part;
      out.open_keyword = kAlternatives[i];
    }
  }
  if (!budget_.spend(8 + out.parts.size())) return Budget::failure();
  return out;
}

Status SchemaReader::add(const SchemaPart& part,
                         std::size_t depth,
                         std::set<const Value*>& path,
                         FlatSchema& out) {
  const Value& schema = *part.schema;
  if (const bool* constant = schema.as_bool()) {
    out.impossible = out.impossible || !*constant;
    return ok_status();
  }
  if (checked_.insert(&schema).second) {
    RETURN_IF_ERROR(check_keywords(*schema.as_dict(), pointer(schema)));
    (void)budget_.spend(schema.as_dict()->size() * 8);
  }
  if (!path.insert(&schema).second) {
    return invalid_argument("the reference leads back to itself")
        .with_where(pointer_to(pointer(schema), "$ref"));
  }
  if (depth > limits::kGrammarDepthMax) {
    return invalid_argument(str("more than ", limits::kGrammarDepthMax, " references in a row"))
        .with_where(pointer(schema));
  }
  out.parts.push_back(part);
  if (const Value* reference = schema.find("$ref")) {
    const Value* target = resolve_reference(root_, *reference->as_string());
    if (target == nullptr) {
      return invalid_argument(str("the reference '",
                                  printable(*reference->as_string()),
                                  "' leads to no schema; it must be a JSON pointer inside of this "
                                  "one, like '#/$defs/name'"))
          .with_where(pointer_to(pointer(schema), "$ref"));
    }
    // The pointer of what is referred to is the reference.
    pointers_.emplace(target, printable(*reference->as_string(), 256));
    RETURN_IF_ERROR(add({target, 0}, depth + 1, path, out));
  }
  if (const Value* all = schema.find("allOf")) {
    for (std::size_t i = 0; i < all->as_list()->size(); ++i) {
      const Value& each = (*all->as_list())[i];
      note(schema, "allOf", str(i), each);
      RETURN_IF_ERROR(add({&each, 0}, depth + 1, path, out));
    }
  }
  path.erase(&schema);
  return ok_status();
}

Result<bool> SchemaReader::satisfies(const Value& value,
                                     const SchemaPart& part,
                                     const Matches& matches) {
  const Value& schema = *part.schema;
  if (const bool* constant = schema.as_bool()) return *constant;
  if (!budget_.spend(16)) return Budget::failure();
  if (++nesting_ > 4 * limits::kGrammarDepthMax) {
    return invalid_argument("nests too deeply to check its enum or const")
        .with_where(pointer(schema));
  }
  struct Leave {
    std::size_t& nesting;
    ~Leave() { --nesting; }
  } leave{nesting_};
  RETURN_IF_ERROR(check_keywords(*schema.as_dict(), pointer(schema)));
  if (const Value* type = schema.find("type"); type && (types_of(*type) & type_bit(value)) == 0) {
    return false;
  }
  if (const Value* constant = schema.find("const"); constant && !equal_values(*constant, value)) {
    return false;
  }
  if (const Value* list = schema.find("enum")) {
    const auto same = [&](const Value& item) { return equal_values(item, value); };
    if (!budget_.spend(list->as_list()->size())) return Budget::failure();
    if (std::ranges::none_of(*list->as_list(), same)) return false;
  }
  if (!keeps_bounds(value, schema)) return false;
  if (const std::string* text = value.as_string()) {
    ASSIGN_OR_RETURN(const bool fits, matches(schema, *text));
    if (!fits) return false;
  }
  if (const Value* reference = schema.find("$ref")) {
    const Value* target = resolve_reference(root_, *reference->as_string());
    if (target == nullptr) return true;  // flatten() reports it
    ASSIGN_OR_RETURN(const bool fits, satisfies(value, {target, 0}, matches));
    if (!fits) return false;
  }
  struct Group {
    const char* keyword;
    bool chosen;
  };
  for (const Group group : {Group{"allOf", false},
                            Group{"anyOf", (part.chosen & 1U) != 0},
                            Group{"oneOf", (part.chosen & 2U) != 0}}) {
    const Value* list = schema.find(group.keyword);
    if (list == nullptr || group.chosen) continue;
    std::size_t fitting = 0;
    for (const Value& each : *list->as_list()) {
      ASSIGN_OR_RETURN(const bool fits, satisfies(value, {&each, 0}, matches));
      fitting += fits ? 1 : 0;
    }
    const std::string_view keyword = group.keyword;
    const bool good = keyword == "allOf"   ? fitting == list->as_list()->size()
                      : keyword == "anyOf" ? fitting > 0
                                           : fitting == 1;
    if (!good) return false;
  }
  ASSIGN_OR_RETURN(const bool members, satisfies_members(value, schema, matches));
  if (!members) return false;
  return satisfies_items(value, schema, matches);
}

Result<bool> SchemaReader::satisfies_members(const Value& value,
                                             const Value& schema,
                                             const Matches& matches) {
  const Value::Dict* dict = value.as_dict();
  if (dict == nullptr) return true;
  if (const Value* required = schema.find("required")) {
    for (const Value& name : *required->as_list()) {
      if (value.find(*name.as_string()) == nullptr) return false;
    }
  }
  const Value* properties = schema.find("properties");
  const Value* patterns = schema.find("patternProperties");
  const Value* additional = schema.find("additionalProperties");
  for (const auto& [name, member] : *dict) {
    bool named = false;
    if (const Value* own = properties == nullptr ? nullptr : properties->find(name)) {
      named = true;
      ASSIGN_OR_RETURN(const bool fits, satisfies(member, {own, 0}, matches));
      if (!fits) return false;
    }
    if (patterns != nullptr) {
      for (const auto& [pattern, inner] : *patterns->as_dict()) {
        Value::Dict with_pattern;
        with_pattern.emplace_back("pattern", Value(pattern));
        ASSIGN_OR_RETURN(const bool applies, matches(Value(std::move(with_pattern)), name));
        if (!applies) continue;
        named = true;
        ASSIGN_OR_RETURN(const bool fits, satisfies(member, {&inner, 0}, matches));
        if (!fits) return false;
      }
    }
    if (named || additional == nullptr) continue;
    ASSIGN_OR_RETURN(const bool fits, satisfies(member, {additional, 0}, matches));
    if (!fits) return false;
  }
  return true;
}

Result<bool> SchemaReader::satisfies_items(const Value& value,
                                           const Value& schema,
                                           const Matches& matches) {
  const Value::List* list = value.as_list();
  if (list == nullptr) return true;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Value* inner = item_schema(schema, i);
    if (inner == nullptr) continue;
    ASSIGN_OR_RETURN(const bool fits, satisfies((*list)[i], {inner, 0}, matches));
    if (!fits) return false;
  }
  return true;
}

}  // namespace inferneo::text::grammar
