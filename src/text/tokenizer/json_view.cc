#include "text/tokenizer/json_view.h"

#include <algorithm>
#include <vector>

#include "base/str.h"

namespace inferneo::text {
namespace {

std::string_view type_name(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return "a number";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "a boolean";
    case element_type::NULL_VALUE:
      return "null";
  }
  return "unknown";
}

template <typename T>
Result<T> typed(const JsonView& view, std::string_view expected) {
  T value{};
  if (view.element().get(value) == simdjson::SUCCESS) return value;
  return view.corrupt(str("is ", type_name(view.element()), ", expected ", expected));
}

}  // namespace

std::string JsonView::path_of(std::string_view key) const {
  return where_.empty() ? printable(key) : str(where_, ".", printable(key));
}

Result<JsonView> JsonView::member(std::string_view key) const {
  ASSIGN_OR_RETURN(const simdjson::dom::object members, object());
  simdjson::dom::element found;
  if (members.at_key(key).get(found) != simdjson::SUCCESS) {
    return corrupt_data(str(path_of(key), " is missing")).with_where(path_of(key));
  }
  return JsonView(found, path_of(key));
}

Result<std::optional<JsonView>> JsonView::optional_member(std::string_view key) const {
  ASSIGN_OR_RETURN(const simdjson::dom::object members, object());
  simdjson::dom::element found;
  if (members.at_key(key).get(found) != simdjson::SUCCESS || found.is_null()) {
    return std::optional<JsonView>();
  }
  return std::optional<JsonView>(JsonView(found, path_of(key)));
}

Result<std::string_view> JsonView::string() const {
  return typed<std::string_view>(*this, "a string");
}
Result<bool> JsonView::boolean() const { return typed<bool>(*this, "true or false"); }
Result<std::int64_t> JsonView::integer() const { return typed<std::int64_t>(*this, "an integer"); }
Result<simdjson::dom::array> JsonView::array() const {
  return typed<simdjson::dom::array>(*this, "a list");
}
Result<simdjson::dom::object> JsonView::object() const {
  return typed<simdjson::dom::object>(*this, "an object");
}

Result<std::string_view> JsonView::string_member(std::string_view key) const {
  ASSIGN_OR_RETURN(const JsonView found, member(key));
  return found.string();
}

Result<bool> JsonView::bool_member(std::string_view key, bool fallback) const {
  ASSIGN_OR_RETURN(const std::optional<JsonView> found, optional_member(key));
  if (!found) return fallback;
  return found->boolean();
}

JsonView JsonView::item(std::size_t index, simdjson::dom::element element) const {
  return {element, str(where_, "[", index, "]")};
}

Status JsonView::corrupt(std::string_view what) const {
  return corrupt_data(str(where_.empty() ? "the document" : where_, " ", what)).with_where(where_);
}

Status JsonView::not_supported(std::string_view what,
                               std::string_view name,
                               std::string_view supported) const {
  std::vector<std::string_view> names;
  for (std::size_t at = 0; at <= supported.size();) {
    const std::size_t end = std::min(supported.find(", ", at), supported.size());
    names.push_back(supported.substr(at, end - at));
    at = end + 2;
  }
  const std::string_view nearest = nearest_name(name, names);
  return unsupported(str(where_, ": ", what, " '", printable(name), "' is not supported"))
      .with_hint(str("supported: ",
                     supported,
                     nearest.empty() ? std::string() : str("; the nearest is ", nearest)))
      .with_where(where_);
}

}  // namespace inferneo::text
