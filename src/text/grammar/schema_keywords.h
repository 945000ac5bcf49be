// The keywords of JSON Schema: which are kept, which only describe, which are refused, and what
// their values must look like. One table for the compiler, the check of values and the
// documentation. Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "text/value.h"

namespace inferneo::text::grammar {

// Types of values, as bits. kFraction: numbers that are no integers.
enum TypeBits : std::uint32_t {
  kNullType = 1,
  kBooleanType = 2,
  kIntegerType = 4,
  kFractionType = 8,
  kStringType = 16,
  kArrayType = 32,
  kObjectType = 64,
  kNumberType = kIntegerType | kFractionType,
  kAnyType = 127,
};

enum class KeywordKind : std::uint8_t {
  kAnnotation,  // says nothing about which values are valid
  kAny,
  kSchema,
  kSchemaList,  // not empty
  kSchemaMap,
  kItems,  // a schema, or a list of them
  kString,
  kNumber,
  kCount,  // an integer of at least 0
  kStringList,
  kValueList,  // not empty
  kType,       // a name or a list of names
  kUnsupported,
};

struct Keyword {
  std::string_view name;
  KeywordKind kind = KeywordKind::kAnnotation;
  std::uint32_t types = 0;     // that it speaks about
  std::string_view note = {};  // why it is not supported
};

std::span<const Keyword> schema_keywords();

// Checks names and the shapes of values of one schema object; inner schemas are not looked at.
// Failures: invalid_argument or unsupported; where() is the pointer of the keyword.
Status check_keywords(const Value::Dict& schema, const std::string& pointer);

// Of "type"; precondition: checked.
std::uint32_t types_of(const Value& type);
std::uint32_t type_bit(const Value& value);

// pointer + "/" + name, escaped as RFC 6901 wants.
std::string pointer_to(const std::string& pointer, std::string_view name);
// The part of `root` that a reference ("#", "#/$defs/a") names, or null.
const Value* resolve_reference(const Value& root, std::string_view reference);

}  // namespace inferneo::text::grammar
