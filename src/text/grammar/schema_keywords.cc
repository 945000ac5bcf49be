#include "text/grammar/schema_keywords.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/str.h"

namespace inferneo::text::grammar {
namespace {

using Kind = KeywordKind;

constexpr Keyword kKeywords[] = {
    {"$comment", Kind::kAnnotation},
    {"$defs", Kind::kSchemaMap},
    {"$id", Kind::kAnnotation},
    {"$ref", Kind::kString},
    {"$schema", Kind::kAnnotation},
    {"additionalItems", Kind::kSchema, kArrayType},
    {"additionalProperties", Kind::kSchema, kObjectType},
    {"allOf", Kind::kSchemaList},
    {"anyOf", Kind::kSchemaList},
    {"const", Kind::kAny},
    {"contentEncoding", Kind::kAnnotation},
    {"contentMediaType", Kind::kAnnotation},
    {"default", Kind::kAnnotation},
    {"definitions", Kind::kSchemaMap},
    {"deprecated", Kind::kAnnotation},
    {"description", Kind::kAnnotation},
    {"enum", Kind::kValueList},
    {"example", Kind::kAnnotation},
    {"examples", Kind::kAnnotation},
    {"exclusiveMaximum", Kind::kNumber, kNumberType},
    {"exclusiveMinimum", Kind::kNumber, kNumberType},
    {"format", Kind::kString},
    {"items", Kind::kItems, kArrayType},
    {"maxItems", Kind::kCount, kArrayType},
    {"maxLength", Kind::kCount, kStringType},
    {"maxProperties", Kind::kCount, kObjectType},
    {"maximum", Kind::kNumber, kNumberType},
    {"minItems", Kind::kCount, kArrayType},
    {"minLength", Kind::kCount, kStringType},
    {"minProperties", Kind::kCount, kObjectType},
    {"minimum", Kind::kNumber, kNumberType},
    {"multipleOf", Kind::kNumber, kNumberType},
    {"oneOf", Kind::kSchemaList},
    {"pattern", Kind::kString, kStringType},
    {"patternProperties", Kind::kSchemaMap, kObjectType},
    {"prefixItems", Kind::kSchemaList, kArrayType},
    {"properties", Kind::kSchemaMap, kObjectType},
    {"readOnly", Kind::kAnnotation},
    {"required", Kind::kStringList, kObjectType},
    {"title", Kind::kAnnotation},
    {"type", Kind::kType},
    {"writeOnly", Kind::kAnnotation},

    {"$anchor", Kind::kUnsupported, 0, "references are JSON pointers"},
    {"$dynamicAnchor", Kind::kUnsupported, 0, "references are JSON pointers"},
    {"$dynamicRef", Kind::kUnsupported, 0, "use $ref"},
    {"$recursiveRef", Kind::kUnsupported, 0, "use $ref"},
    {"contains", Kind::kUnsupported, 0, "it cannot be kept while an array is written"},
    {"dependencies", Kind::kUnsupported, 0, "use anyOf"},
    {"dependentRequired", Kind::kUnsupported, 0, "use anyOf"},
    {"dependentSchemas", Kind::kUnsupported, 0, "use anyOf"},
    {"discriminator", Kind::kUnsupported, 0, "use anyOf with a const in each alternative"},
    {"else", Kind::kUnsupported, 0, "use anyOf"},
    {"if", Kind::kUnsupported, 0, "use anyOf"},
    {"maxContains", Kind::kUnsupported, 0, "it cannot be kept while an array is written"},
    {"minContains", Kind::kUnsupported, 0, "it cannot be kept while an array is written"},
    {"not", Kind::kUnsupported, 0, "say what is allowed instead"},
    {"nullable", Kind::kUnsupported, 0, "add \"null\" to the type"},
    {"propertyNames", Kind::kUnsupported, 0, "use patternProperties"},
    {"then", Kind::kUnsupported, 0, "use anyOf"},
    {"unevaluatedItems", Kind::kUnsupported, 0, "use items"},
    {"unevaluatedProperties", Kind::kUnsupported, 0, "use additionalProperties"},
    {"uniqueItems", Kind::kUnsupported, 0, "it cannot be kept while an array is written"},
};

struct TypeName {
  std::string_view name;
  std::uint32_t bits;
};

constexpr TypeName kTypes[] = {
    {"null", kNullType},
    {"boolean", kBooleanType},
    {"integer", kIntegerType},
    {"number", kNumberType},
    {"string", kStringType},
    {"array", kArrayType},
    {"object", kObjectType},
};

std::uint32_t type_named(std::string_view name) {
  const auto* found = std::ranges::find(kTypes, name, &TypeName::name);
  return found == std::end(kTypes) ? 0 : found->bits;
}

bool is_schema(const Value& value) {
  return value.as_dict() != nullptr || value.as_bool() != nullptr;
}

bool is_finite_number(const Value& value) {
  const double* number = value.as_double();
  return value.as_int() != nullptr || (number != nullptr && std::isfinite(*number));
}

bool is_count(const Value& value) {
  if (const std::int64_t* integer = value.as_int()) return *integer >= 0;
  const double* number = value.as_double();
  return number != nullptr && *number >= 0 && *number < 1e15 && std::floor(*number) == *number;
}

bool all_of_list(const Value& value, bool empty_allowed, bool (*fits)(const Value&)) {
  const Value::List* list = value.as_list();
  return list != nullptr && (empty_allowed || !list->empty()) && std::ranges::all_of(*list, fits);
}

bool is_type(const Value& value) {
  const auto named = [](const Value& item) {
    return item.as_string() != nullptr && type_named(*item.as_string()) != 0;
  };
  return named(value) || all_of_list(value, false, named);
}

bool is_schema_map(const Value& value) {
  const Value::Dict* map = value.as_dict();
  return map != nullptr &&
         std::ranges::all_of(*map, [](const auto& member) { return is_schema(member.second); });
}

// What the value must be, or nothing when it is.
std::string_view wanted(Kind kind, const Value& value) {
  const auto is_string = [](const Value& item) { return item.as_string() != nullptr; };
  switch (kind) {
    case Kind::kSchema:
      return is_schema(value) ? "" : "a schema (an object or a boolean)";
    case Kind::kSchemaList:
      return all_of_list(value, false, is_schema) ? "" : "a list of at least one schema";
    case Kind::kSchemaMap:
      return is_schema_map(value) ? "" : "an object whose members are schemas";
    case Kind::kItems:
      return is_schema(value) || all_of_list(value, true, is_schema)
                 ? ""
                 : "a schema or a list of schemas";
    case Kind::kString:
      return is_string(value) ? "" : "a string";
    case Kind::kNumber:
      return is_finite_number(value) ? "" : "a number";
    case Kind::kCount:
      return is_count(value) ? "" : "an integer of at least 0";
    case Kind::kStringList:
      return all_of_list(value, true, is_string) ? "" : "a list of strings";
    case Kind::kValueList:
      return value.as_list() != nullptr && !value.as_list()->empty()
                 ? ""
                 : "a list of at least one value";
    case Kind::kType:
      return is_type(value) ? ""
                            : "null, boolean, integer, number, string, array, object, or a list of "
                              "these";
    case Kind::kAnnotation:
    case Kind::kAny:
    case Kind::kUnsupported:
      break;
  }
  return "";
}

// The value of an unsupported keyword that asks for nothing.
bool has_no_effect(std::string_view name, const Value& value) {
  const bool* flag = value.as_bool();
  if (flag == nullptr) return false;
  if (name == "uniqueItems" || name == "nullable") return !*flag;
  return name.starts_with("unevaluated") && *flag;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Undoes the escapes of a URI fragment, then those of a JSON pointer.
std::string unescape(std::string_view token) {
  std::string plain;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '%' && i + 2 < token.size() && hex_digit(token[i + 1]) >= 0 &&
        hex_digit(token[i + 2]) >= 0) {
      plain += static_cast<char>(hex_digit(token[i + 1]) * 16 + hex_digit(token[i + 2]));
      i += 2;
    } else {
      plain += token[i];
    }
  }
  std::string out;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '~' && i + 1 < plain.size() && (plain[i + 1] == '0' || plain[i + 1] == '1')) {
      out += plain[++i] == '0' ? '~' : '/';
    } else {
      out += plain[i];
    }
  }
  return out;
}

const Value* step_into(const Value& value, const std::string& token) {
  if (const Value* member = value.find(token)) return member;
  const Value::List* list = value.as_list();
  std::size_t index = 0;
  const char* end = token.data() + token.size();
  if (list == nullptr || std::from_chars(token.data(), end, index).ptr != end || token.empty()) {
    return nullptr;
  }
  return index < list->size() ? &(*list)[index] : nullptr;
}

}  // namespace

std::span<const Keyword> schema_keywords() { return kKeywords; }

Status check_keywords(const Value::Dict& schema, const std::string& pointer) {
  for (const auto& [name, value] : schema) {
    const auto* keyword = std::ranges::find(kKeywords, name, &Keyword::name);
    std::string where = pointer_to(pointer, name);
    if (keyword == std::end(kKeywords)) {
      // Spec: names that begin so are extensions that say nothing about validity.
      if (name.starts_with("x-")) continue;
      return unsupported(str("the keyword '", printable(name), "' is not known"))
          .with_where(std::move(where));
    }
    if (keyword->kind == Kind::kUnsupported && !has_no_effect(name, value)) {
      return unsupported(str("the keyword '", name, "' is not supported: ", keyword->note))
          .with_where(std::move(where));
    }
    const std::string_view expected = wanted(keyword->kind, value);
    if (!expected.empty()) {
      return invalid_argument(str("'", name, "' must be ", expected)).with_where(std::move(where));
    }
  }
  return ok_status();
}

std::uint32_t types_of(const Value& type) {
  if (const std::string* name = type.as_string()) return type_named(*name);
  std::uint32_t bits = 0;
  for (const Value& name : *type.as_list()) bits |= type_named(*name.as_string());
  return bits;
}

std::uint32_t type_bit(const Value& value) {
  if (value.as_bool() != nullptr) return kBooleanType;
  if (value.as_int() != nullptr) return kIntegerType;
  if (const double* number = value.as_double()) {
    return std::floor(*number) == *number ? kIntegerType : kFractionType;
  }
  if (value.as_string() != nullptr) return kStringType;
  if (value.as_list() != nullptr) return kArrayType;
  return value.as_dict() != nullptr ? kObjectType : kNullType;
}

std::string pointer_to(const std::string& pointer, std::string_view name) {
  std::string out = pointer + "/";
  for (const char c : printable(name)) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

const Value* resolve_reference(const Value& root, std::string_view reference) {
  if (reference.empty() || reference.front() != '#') return nullptr;
  reference.remove_prefix(1);
  const Value* at = &root;
  while (!reference.empty()) {
    if (reference.front() != '/') return nullptr;
    reference.remove_prefix(1);
    const std::size_t end = std::min(reference.find('/'), reference.size());
    at = step_into(*at, unescape(reference.substr(0, end)));
    if (at == nullptr) return nullptr;
    reference.remove_prefix(end);
  }
  return is_schema(*at) ? at : nullptr;
}

}  // namespace inferneo::text::grammar
