#include "text/value.h"

#include "base/check.h"

namespace inferneo::text {

Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

const Value* Value::find(std::string_view key) const {
  const Dict* dict = as_dict();
  if (!dict) return nullptr;
  for (const auto& [name, value] : *dict) {
    if (name == key) return &value;
  }
  return nullptr;
}

void Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Dict();
  Dict* dict = as_dict();
  CHECK(dict != nullptr);
  for (auto& [name, present] : *dict) {
    if (name != key) continue;
    present = std::move(value);
    return;
  }
  dict->emplace_back(std::string(key), std::move(value));
}

}  // namespace inferneo::text
