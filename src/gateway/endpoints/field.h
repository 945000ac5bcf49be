// The fields of a request body as a table: each is bound, accepted without effect for a stated
// reason, or refused by name. An unknown field is refused too, with the nearest known name, so that
// nothing a client asks for is ignored silently.
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/str.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

enum class FieldUse : std::uint8_t { kWorks, kNoEffect, kRefused };

// A row of the generated reference.
struct FieldRow {
  std::string_view name;
  FieldUse use = FieldUse::kWorks;
  // Range and default, or the reason why it has no effect or is refused.
  std::string_view note;
};

template <typename Request>
struct Field : FieldRow {
  // Reads a value that is not null into the request; the value may be moved from. Null for fields
  // that are refused.
  Status (*bind)(text::Value& value, Request& request) = nullptr;
};

// The value of a field as a type, or invalid_argument that says what it must be and what it is.
Result<bool> read_bool(const text::Value& value);
Result<std::int64_t> read_integer(const text::Value& value, std::int64_t min, std::int64_t max);
Result<std::int32_t> read_int32(const text::Value& value, std::int64_t min, std::int64_t max);
struct NumberRange {
  double min = 0;
  double max = 0;
  bool min_excluded = false;
};
Result<float> read_number(const text::Value& value, NumberRange range);
// Takes the text out of `value`. Bound: `size_max` bytes.
Result<std::string> take_string(text::Value& value, std::size_t size_max);
// "must be <expected>, but is <what the value is>"; the value itself shows only when it is a
// number.
Status wrong_value(std::string_view expected, const text::Value& value);

// Puts the field's name (or the deeper place that `status` already names) before the message.
Status at_field(Status status, std::string_view name);
Status refused_field(const FieldRow& field);
Status unknown_field(std::string_view name, std::span<const std::string_view> known);

// Binds every member of `body`; a null member counts as absent. Failures: invalid_argument or
// unsupported whose where() is the field.
template <typename Request, typename Base>
Status bind_fields(text::Value::Dict& body,
                   std::span<const Field<Base>> shared,
                   std::span<const Field<Request>> own,
                   Request& request) {
  const auto bind_in = [&](const auto& fields,
                           text::Value::Dict::value_type& member,
                           auto& target) -> std::optional<Status> {
    for (const auto& field : fields) {
      if (field.name != member.first) continue;
      if (member.second.is_null()) return ok_status();
      if (field.use == FieldUse::kRefused && field.bind == nullptr) return refused_field(field);
      return at_field(field.bind(member.second, target), field.name);
    }
    return std::nullopt;
  };
  for (auto& member : body) {
    std::optional<Status> status = bind_in(own, member, request);
    if (!status) status = bind_in(shared, member, static_cast<Base&>(request));
    if (!status) {
      std::vector<std::string_view> known;
      for (const auto& field : own) known.push_back(field.name);
      for (const auto& field : shared) known.push_back(field.name);
      return unknown_field(member.first, known);
    }
    if (!status->ok()) return *std::move(status);
  }
  return ok_status();
}

template <typename Request>
void append_rows(std::span<const Field<Request>> fields, std::vector<FieldRow>& rows) {
  rows.insert(rows.end(), fields.begin(), fields.end());
}

}  // namespace inferneo::gateway::endpoints
