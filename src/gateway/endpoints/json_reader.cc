#include "gateway/endpoints/json_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

// Bound: a value takes 40 bytes, so a body of 8 MiB that is all "1,1,1" would otherwise grow
// twentyfold; no prompt of token ids comes near.
constexpr std::size_t kJsonValueCountMax = 1'000'000;
// Below this many members, comparing all pairs beats sorting.
constexpr std::size_t kPairwiseMemberCountMax = 16;

namespace dom = simdjson::dom;

Status duplicate_name(std::string_view name) {
  return invalid_argument(str("the name '", printable(name), "' appears twice in one object"));
}

Status too_deep() {
  return invalid_argument(str("the body is nested deeper than ", limits::kJsonDepthMax, " levels"));
}

Status check_unique(const text::Value::Dict& members) {
  if (members.size() <= kPairwiseMemberCountMax) {
    for (std::size_t i = 1; i < members.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (members[i].first == members[j].first) return duplicate_name(members[i].first);
      }
    }
    return ok_status();
  }
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const auto& member : members) names.push_back(member.first);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  return twice == names.end() ? ok_status() : duplicate_name(*twice);
}

class Converter {
 public:
  // `depth` counts the lists and objects around the value.
  Result<text::Value> convert(dom::element element, std::size_t depth) {
    if (++value_count_ > kJsonValueCountMax) {
      return invalid_argument(str("the body holds more than ", kJsonValueCountMax, " values"));
    }
    switch (element.type()) {
      case dom::element_type::ARRAY:
        return convert_array(element.get_array().value_unsafe(), depth + 1);
      case dom::element_type::OBJECT:
        return convert_object(element.get_object().value_unsafe(), depth + 1);
      case dom::element_type::INT64:
        return text::Value(element.get_int64().value_unsafe());
      case dom::element_type::UINT64:
        return text::Value(static_cast<double>(element.get_uint64().value_unsafe()));
      case dom::element_type::DOUBLE:
        return text::Value(element.get_double().value_unsafe());
      case dom::element_type::STRING:
        return text::Value(element.get_string().value_unsafe());
      case dom::element_type::BOOL:
        return text::Value(element.get_bool().value_unsafe());
      case dom::element_type::NULL_VALUE:
        break;
    }
    return text::Value();
  }

 private:
  Result<text::Value> convert_array(dom::array array, std::size_t depth) {
    if (depth > limits::kJsonDepthMax) return too_deep();
    text::Value::List list;
    list.reserve(array.size());
    for (const dom::element element : array) {
      ASSIGN_OR_RETURN(text::Value value, convert(element, depth));
      list.push_back(std::move(value));
    }
    return text::Value(std::move(list));
  }

  Result<text::Value> convert_object(dom::object object, std::size_t depth) {
    if (depth > limits::kJsonDepthMax) return too_deep();
    text::Value::Dict dict;
    dict.reserve(object.size());
    for (const dom::key_value_pair member : object) {
      ASSIGN_OR_RETURN(text::Value value, convert(member.value, depth));
      dict.emplace_back(std::string(member.key), std::move(value));
    }
    RETURN_IF_ERROR(check_unique(dict));
    return text::Value(std::move(dict));
  }

  std::size_t value_count_ = 0;
};

bool fits_64_bits(std::string_view integer) {
  const char* const end = integer.data() + integer.size();
  std::uint64_t positive = 0;
  std::int64_t negative = 0;
  return integer.starts_with('-')
             ? std::from_chars(integer.data(), end, negative).ec == std::errc()
             : std::from_chars(integer.data(), end, positive).ec == std::errc();
}

// The first integer of a body that no number type holds, with the name of the member that it is in:
// the parser gives up on the whole body because of it. Not one if there is none.
std::optional<Status> find_large_integer(std::string_view body) {
  std::string_view text;  // the last string
  std::string_view name;
  for (std::size_t i = 0; i < body.size();) {
    if (body[i] == '"') {
      const std::size_t begin = ++i;
      while (i < body.size() && body[i] != '"') i += body[i] == '\\' ? 2 : 1;
      i = std::min(i, body.size());
      text = body.substr(begin, i - begin);
      ++i;
      continue;
    }
    if (body[i] == ':') name = text;
    const std::size_t end = std::min(body.find_first_not_of("+-.0123456789eE", i), body.size());
    const std::string_view token = body.substr(i, end - i);
    const bool is_integer = token.find_first_of("0123456789") != std::string_view::npos &&
                            token.find_first_of("+.eE") == std::string_view::npos;
    if (is_integer && !fits_64_bits(token)) {
      return invalid_argument(
                 str("'", printable(name), "' has a number beyond 64 bits: ", printable(token, 40)))
          .with_where(printable(name));
    }
    i = std::max(end, i + 1);
  }
  return std::nullopt;
}

Status parse_failure(simdjson::error_code code, std::string_view body) {
  if (body.empty()) return invalid_argument("the body is empty, but must be a JSON object");
  if (code == simdjson::DEPTH_ERROR) return too_deep();
  if (code == simdjson::UTF8_ERROR || !utf8::is_valid(body)) {
    return invalid_argument("the body is not valid UTF-8");
  }
  if (code == simdjson::NUMBER_ERROR) {
    if (std::optional<Status> found = find_large_integer(body)) return *std::move(found);
  }
  const std::string place = text::syntax_error_place(body);
  return invalid_argument(str("the body is not valid JSON",
                              place.empty() ? std::string() : str(", ", place),
                              ": ",
                              simdjson::error_message(code)));
}

}  // namespace

Result<text::Value> parse_json(std::string_view body) {
  dom::parser parser;
  // Why one more: simdjson counts the innermost level only when it is not empty; the exact bound is
  // the converter's.
  simdjson::error_code code =
      parser.allocate(std::max<std::size_t>(body.size(), 64), limits::kJsonDepthMax + 1);
  if (code != simdjson::SUCCESS) return internal_error("no memory to parse the body");
  dom::element root;
  code = parser.parse(body.data(), body.size(), true).get(root);
  if (code != simdjson::SUCCESS) return parse_failure(code, body);
  return Converter().convert(root, 0);
}

Result<text::Value::Dict> parse_json_object(std::string_view body) {
  ASSIGN_OR_RETURN(text::Value value, parse_json(body));
  text::Value::Dict* dict = value.as_dict();
  if (dict == nullptr) return invalid_argument("the body must be a JSON object");
  return std::move(*dict);
}

}  // namespace inferneo::gateway::endpoints
