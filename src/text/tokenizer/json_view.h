// A place in a JSON document whose content is not trusted: typed access that answers corrupt_data
// with the place ("model.merges[12]") when something is missing or of another type.
// Internal to the tokenizer's readers. Thread: one. Ownership: borrows the parsed document.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::text {

class JsonView {
 public:
  JsonView(simdjson::dom::element element, std::string where)
      : element_(element), where_(std::move(where)) {}

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] simdjson::dom::element element() const { return element_; }
  [[nodiscard]] bool is_null() const { return element_.is_null(); }
  [[nodiscard]] bool is_object() const { return element_.is_object(); }
  [[nodiscard]] bool is_string() const { return element_.is_string(); }

  // The member, which must be present (null counts as present).
  [[nodiscard]] Result<JsonView> member(std::string_view key) const;
  // The member, or nothing when it is absent or null.
  [[nodiscard]] Result<std::optional<JsonView>> optional_member(std::string_view key) const;

  [[nodiscard]] Result<std::string_view> string() const;
  [[nodiscard]] Result<bool> boolean() const;
  [[nodiscard]] Result<std::int64_t> integer() const;
  [[nodiscard]] Result<simdjson::dom::array> array() const;
  [[nodiscard]] Result<simdjson::dom::object> object() const;

  [[nodiscard]] Result<std::string_view> string_member(std::string_view key) const;
  // `fallback` when the member is absent or null.
  [[nodiscard]] Result<bool> bool_member(std::string_view key, bool fallback) const;
  [[nodiscard]] JsonView item(std::size_t index, simdjson::dom::element element) const;

  // corrupt_data whose message begins with the place.
  [[nodiscard]] Status corrupt(std::string_view what) const;
  // unsupported: "<where>: <what> '<name>' is not supported", with the list of what is
  // (names divided by ", ") and the nearest of them.
  [[nodiscard]] Status not_supported(std::string_view what,
                                     std::string_view name,
                                     std::string_view supported) const;

 private:
  [[nodiscard]] std::string path_of(std::string_view key) const;

  simdjson::dom::element element_;
  std::string where_;
};

}  // namespace inferneo::text
