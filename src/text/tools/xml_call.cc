#include "text/tools/xml_call.h"

#include <utility>

#include "text/json.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kParameterEnd = "</parameter>";
constexpr std::string_view kEnd = "</function>";
constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The line breaks next to the marks belong to the format.
std::string_view without_outer_breaks(std::string_view text) {
  if (text.starts_with("\r\n")) text.remove_prefix(1);
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

bool names_type(const Value* type, std::string_view name) {
  if (type == nullptr) return false;
  if (type->as_string() != nullptr) return *type->as_string() == name;
  const Value::List* list = type->as_list();
  if (list == nullptr) return false;
  for (const Value& item : *list) {
    if (item.as_string() != nullptr && *item.as_string() == name) return true;
  }
  return false;
}

// The value as JSON text. `schema` of the argument may be null.
std::string argument_json(std::string_view text, const Value* schema) {
  const Value* type = schema == nullptr ? nullptr : schema->find("type");
  const std::string_view trimmed = trim(text);
  if (names_type(type, "string")) {
    if (trimmed == "null" && names_type(type, "null")) return "null";
    return to_json(Value(without_outer_breaks(text)));
  }
  // Words of Python, which these models mix in.
  if (trimmed == "True") return "true";
  if (trimmed == "False") return "false";
  if (trimmed == "None") return "null";
  if (parse_json(trimmed).has_value()) return std::string(trimmed);
  return to_json(Value(without_outer_breaks(text)));
}

}  // namespace

bool XmlCall::push(std::string& pending, ReplyWriter& writer) {
  while (step(pending, writer)) {
  }
  return place_ == Place::kDone;
}

bool XmlCall::step(std::string& pending, ReplyWriter& writer) {
  switch (place_) {
    case Place::kName: {
      if (pending.size() < kBegin.size()) return false;
      const std::size_t end = pending.find('>');
      if (end == std::string::npos) return false;
      name_ = trim(std::string_view(pending).substr(kBegin.size(), end - kBegin.size()));
      pending.erase(0, end + 1);
      writer.begin_call(name_);
      place_ = Place::kBetween;
      return true;
    }
    case Place::kBetween: {
      const std::size_t first = pending.find_first_not_of(kSpace);
      if (first == std::string::npos) return false;
      pending.erase(0, first);
      const std::string_view rest = pending;
      if (rest.starts_with(kParameter)) {
        pending.erase(0, kParameter.size());
        place_ = Place::kKey;
        return true;
      }
      if (rest.starts_with(kEnd)) {
        pending.erase(0, kEnd.size());
        end(writer);
        return false;
      }
      if (kParameter.starts_with(rest) || kEnd.starts_with(rest)) return false;
      end(writer);
      return false;
    }
    case Place::kKey: {
      const std::size_t end = pending.find('>');
      if (end == std::string::npos) return false;
      key_ = trim(std::string_view(pending).substr(0, end));
      pending.erase(0, end + 1);
      place_ = Place::kValue;
      return true;
    }
    case Place::kValue: {
      const std::size_t end = pending.find(kParameterEnd);
      if (end == std::string::npos) return false;
      add_argument(std::string_view(pending).substr(0, end), writer);
      pending.erase(0, end + kParameterEnd.size());
      place_ = Place::kBetween;
      return true;
    }
    case Place::kDone:
      break;
  }
  return false;
}

void XmlCall::add_argument(std::string_view value, ReplyWriter& writer) {
  const Value* function = find_tool_function(tools_.get(), name_);
  const Value* parameters = function == nullptr ? nullptr : function->find("parameters");
  const Value* properties = parameters == nullptr ? nullptr : parameters->find("properties");
  const Value* schema = properties == nullptr ? nullptr : properties->find(key_);
  writer.arguments(std::exchange(has_arguments_, true) ? ", " : "{");
  writer.arguments(to_json(Value(key_)));
  writer.arguments(": ");
  writer.arguments(argument_json(value, schema));
}

void XmlCall::end(ReplyWriter& writer) {
  writer.arguments(has_arguments_ ? "}" : "{}");
  place_ = Place::kDone;
}

bool XmlCall::finish(std::string& pending, ReplyWriter& writer) {
  if (place_ == Place::kName) return false;
  // A value that was cut off is no value: the arguments show that they are not complete.
  if (place_ == Place::kBetween && kEnd.starts_with(pending)) end(writer);
  pending.clear();
  return true;
}

}  // namespace inferneo::text
