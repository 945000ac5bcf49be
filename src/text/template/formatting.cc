#include "text/template/formatting.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/str.h"
#include "base/utf8.h"
#include "text/template/characters.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

// Widths and precisions beyond this have no use and would write large paddings.
constexpr std::int64_t kWidthMax = 4096;

struct Spec {
  std::string fill = " ";
  char align = 0;  // '<', '>', '^', '=' or 0 for the type's own
  char sign = 0;   // '+', ' ' or 0
  bool alternate = false;
  bool thousands = false;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = 0;
};

// Reads digits; -1 when there are none. Failure when beyond kWidthMax.
Result<std::int64_t> read_number(std::string_view text, std::size_t& at) {
  std::int64_t value = -1;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    value = std::max<std::int64_t>(value, 0) * 10 + (text[at] - '0');
    if (value > kWidthMax) return invalid_argument("a format width or precision is too large");
  }
  return value;
}

std::string padded(const std::string& body, const Spec& spec, char own_align) {
  const auto length = static_cast<std::int64_t>(count_characters(body));
  const std::int64_t missing = spec.width - length;
  if (missing <= 0) return body;
  const char align = spec.align ? spec.align : own_align;
  std::int64_t before = align == '<' ? 0 : (align == '^' ? missing / 2 : missing);
  std::string out;
  std::size_t sign_size = 0;
  if (align == '=') {
    sign_size = !body.empty() && (body[0] == '-' || body[0] == '+' || body[0] == ' ') ? 1 : 0;
    out = body.substr(0, sign_size);
  }
  for (std::int64_t i = 0; i < before; ++i) out += spec.fill;
  out += body.substr(sign_size);
  for (std::int64_t i = before; i < missing; ++i) out += spec.fill;
  return out;
}

std::string with_sign(bool negative, const Spec& spec, std::string digits) {
  if (negative) return str("-", digits);
  return spec.sign ? str(spec.sign, digits) : digits;
}

void group_thousands(std::string& digits) {
  std::size_t end = std::min(digits.find('.'), digits.size());
  end = std::min(end, digits.find('e'));
  for (std::size_t at = std::min(end, digits.size()); at > 3; at -= 3)
    digits.insert(at - 3, 1, ',');
}

std::string integer_digits(std::int64_t value, const Spec& spec) {
  const std::uint64_t magnitude =
      value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  int base = 10;
  std::string prefix;
  if (spec.type == 'x' || spec.type == 'X') base = 16;
  if (spec.type == 'o') base = 8;
  if (spec.type == 'b') base = 2;
  if (spec.alternate && base != 10) prefix = str("0", spec.type);
  char buffer[72];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), magnitude, base).ptr;
  std::string digits(buffer, end);
  if (spec.type == 'X') digits = to_upper(digits);
  const auto zero_count =
      std::max<std::int64_t>(0, spec.precision - static_cast<std::int64_t>(digits.size()));
  digits = std::string(static_cast<std::size_t>(zero_count), '0') + digits;
  if (spec.thousands) group_thousands(digits);
  return with_sign(value < 0, spec, prefix + digits);
}

std::string float_digits(double value, const Spec& spec) {
  const double magnitude = std::abs(value);
  const bool negative = std::signbit(value) && !std::isnan(value);
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
    if (spec.type == 'F' || spec.type == 'E' || spec.type == 'G') digits = to_upper(digits);
  } else if (spec.type == 0 && spec.precision < 0) {
    digits = float_text(magnitude);
  } else {
    const char type = spec.type == 0 ? 'g' : (spec.type == '%' ? 'f' : spec.type);
    const std::string format = str(spec.alternate ? "%#.*" : "%.*", type);
    const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
    const double scaled = spec.type == '%' ? magnitude * 100 : magnitude;
    // The largest double has 309 digits before the point.
    std::string buffer(static_cast<std::size_t>(precision) + 330, '\0');
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int size = std::snprintf(buffer.data(), buffer.size(), format.c_str(), precision, scaled);
#pragma GCC diagnostic pop
    buffer.resize(static_cast<std::size_t>(std::max(size, 0)));
    digits = std::move(buffer);
    if (spec.type == '%') digits += '%';
  }
  if (spec.thousands) group_thousands(digits);
  return with_sign(negative, spec, std::move(digits));
}

bool is_float_type(char type) {
  return std::string_view("eEfFgG%").find(type) != std::string_view::npos && type != 0;
}

std::string cut(const std::string& text, const Spec& spec) {
  if (spec.precision < 0) return text;
  return text.substr(0, offset_of(text, static_cast<std::size_t>(spec.precision)));
}

// Text of `value`, not padded, for the conversion `spec.type` of the % operator.
Result<std::string> convert_percent(Evaluation& evaluation, const Object& value, Spec& spec) {
  TextBuilder out(evaluation);
  switch (spec.type) {
    case 's':
    case 'r': {
      if (spec.type == 's') append_str(out, value);
      if (spec.type == 'r') append_repr(out, value);
      ASSIGN_OR_RETURN(const std::string text, std::move(out).finish_bytes());
      return cut(text, spec);
    }
    case 'c': {
      if (const Text* text = value.as_text(); text && text->length == 1) return text->bytes;
      return invalid_argument("%c requires int or char");
    }
    case 'd':
    case 'i':
    case 'u': {
      if (const double* number = value.as_double(); number && std::abs(*number) < 9e18) {
        return integer_digits(static_cast<std::int64_t>(*number), spec);
      }
      [[fallthrough]];
    }
    case 'x':
    case 'X':
    case 'o': {
      const auto number = integer_of(value);
      if (number) return integer_digits(*number, spec);
      return invalid_argument(
          str("%", spec.type, " format: a real number is required, not ", type_name(value)));
    }
    default: {
      const auto number = number_of(value);
      if (number) return float_digits(*number, spec);
      return invalid_argument(str("must be real number, not ", type_name(value)));
    }
  }
}

// Gives the values of one % operation in order, or by name.
class PercentValues {
 public:
  explicit PercentValues(const Object& values) : values_(values) {
    const Sequence* sequence = values.as_sequence();
    if (sequence && sequence->kind == SequenceKind::kTuple) tuple_ = sequence;
  }

  Result<Object> next() {
    const std::size_t count = tuple_ ? tuple_->items.size() : 1;
    if (used_ >= count) return invalid_argument("not enough arguments for format string");
    ++used_;
    return tuple_ ? tuple_->items[used_ - 1] : values_;
  }

  Result<Object> named(std::string_view name) {
    const Dict* dict = values_.as_dict();
    if (!dict) return invalid_argument("format requires a mapping");
    by_name_ = true;
    if (const Object* value = dict->find_text(name)) return *value;
    return invalid_argument(str("the format names '", name, "', which is not given"));
  }

  [[nodiscard]] bool all_used() const {
    if (tuple_) return used_ == tuple_->items.size();
    return used_ == 1 || by_name_ || values_.as_dict() || values_.as_sequence();
  }

 private:
  const Object& values_;
  const Sequence* tuple_ = nullptr;
  std::size_t used_ = 0;
  bool by_name_ = false;
};

Result<std::int64_t> read_star_or_number(std::string_view text,
                                         std::size_t& at,
                                         PercentValues& values) {
  if (at >= text.size() || text[at] != '*') return read_number(text, at);
  ++at;
  ASSIGN_OR_RETURN(const Object value, values.next());
  const auto number = integer_of(value);
  if (!number) return invalid_argument("* wants int");
  if (std::abs(*number) > kWidthMax) return invalid_argument("a format width is too large");
  return *number;
}

// One conversion, `at` being after its %. Spec: printf-style formatting of Python.
Status append_conversion(
    TextBuilder& out, std::string_view text, std::size_t& at, PercentValues& values, bool safe) {
  std::optional<Object> value;
  if (at < text.size() && text[at] == '(') {
    const std::size_t end = text.find(')', at);
    if (end == text.npos) return invalid_argument("incomplete format key");
    ASSIGN_OR_RETURN(value, values.named(text.substr(at + 1, end - at - 1)));
    at = end + 1;
  }
  Spec spec;
  bool zeros = false;
  bool left = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '-')
      left = true;
    else if (text[at] == '0')
      zeros = true;
    else if (text[at] == '+')
      spec.sign = '+';
    else if (text[at] == ' ')
      spec.sign = spec.sign ? spec.sign : ' ';
    else if (text[at] == '#')
      spec.alternate = true;
    else
      break;
  }
  ASSIGN_OR_RETURN(spec.width, read_star_or_number(text, at, values));
  if (spec.width == -1) spec.width = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    ASSIGN_OR_RETURN(spec.precision, read_star_or_number(text, at, values));
    spec.precision = std::max<std::int64_t>(spec.precision, 0);
  }
  if (at >= text.size()) return invalid_argument("incomplete format");
  spec.type = text[at++];
  if (spec.type == '%') {
    out.append('%');
    return ok_status();
  }
  if (std::string_view("diuxXoeEfFgGcrs").find(spec.type) == std::string_view::npos) {
    return invalid_argument(str("unsupported format character '", printable({&spec.type, 1}), "'"));
  }
  if (!value) {
    ASSIGN_OR_RETURN(value, values.next());
  }
  const bool numeric = spec.type != 's' && spec.type != 'r' && spec.type != 'c';
  ASSIGN_OR_RETURN(std::string body, convert_percent(out.evaluation(), *value, spec));
  if (safe && !(value->as_text() && value->as_text()->safe)) {
    std::string escaped;
    append_escaped(escaped, body);
    body = std::move(escaped);
  }
  if (zeros && numeric && !left) {
    spec.fill = "0";
    spec.align = '=';
  }
  if (left || spec.width < 0) spec.align = '<';
  spec.width = std::abs(spec.width);
  out.append(padded(body, spec, '>'));
  return ok_status();
}

// Reads a format specification of str.format.
Result<Spec> parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const std::size_t fill_size = text.empty() ? 0 : utf8::decode(text, 0).size;
  if (fill_size < text.size() && fill_size > 0 && is_align(text[fill_size])) {
    spec.fill = text.substr(0, fill_size);
    spec.align = text[fill_size];
    at = fill_size + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) {
    spec.sign = text[at] == '-' ? '\0' : text[at];
    ++at;
  }
  if (at < text.size() && text[at] == '#') {
    spec.alternate = true;
    ++at;
  }
  if (at < text.size() && text[at] == '0') {
    if (!spec.align) {
      spec.align = '=';
      spec.fill = "0";
    }
    ++at;
  }
  ASSIGN_OR_RETURN(const std::int64_t width, read_number(text, at));
  spec.width = std::max<std::int64_t>(width, 0);
  if (at < text.size() && text[at] == ',') {
    spec.thousands = true;
    ++at;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    ASSIGN_OR_RETURN(spec.precision, read_number(text, at));
    if (spec.precision < 0) return invalid_argument("Format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size() || std::string_view("sdxXobeEfFgG%").find(spec.type) == text.npos) {
    if (spec.type != 0 || at != text.size()) {
      return unsupported(str("the format specification '", printable(text), "'"));
    }
  }
  return spec;
}

Result<std::string> convert_braces(Evaluation& evaluation,
                                   const Object& value,
                                   std::string_view specification) {
  if (specification.empty()) {
    TextBuilder out(evaluation);
    append_str(out, value);
    return std::move(out).finish_bytes();
  }
  ASSIGN_OR_RETURN(const Spec spec, parse_spec(specification));
  if (const Text* text = value.as_text()) {
    if (spec.type != 0 && spec.type != 's') {
      return invalid_argument(
          str("Unknown format code '", spec.type, "' for object of type 'str'"));
    }
    return padded(cut(text->bytes, spec), spec, '<');
  }
  const std::int64_t* integer = value.as_int();
  if (integer && !is_float_type(spec.type) && spec.type != 's') {
    return padded(integer_digits(*integer, spec), spec, '>');
  }
  const auto number = number_of(value);
  if (number && (is_float_type(spec.type) || (value.as_double() && spec.type == 0))) {
    return padded(float_digits(*number, spec), spec, '>');
  }
  return invalid_argument(str("the format '",
                              printable(specification),
                              "' does not go with a value of type ",
                              type_name(value)));
}

// Resolves "0", "name", "name.attribute", "name[item]".
class Fields {
 public:
  Fields(Evaluation& evaluation, const Arguments& arguments)
      : evaluation_(evaluation), arguments_(arguments) {}

  Result<Object> get(std::string_view path) {
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    ASSIGN_OR_RETURN(Object value, first(path.substr(0, end)));
    std::size_t at = end;
    while (at < path.size()) {
      const bool is_item = path[at] == '[';
      const std::size_t stop =
          is_item ? path.find(']', at) : std::min(path.find_first_of(".[", at + 1), path.size());
      if (stop == path.npos) return invalid_argument("Missing ']' in format string");
      const std::string_view name = path.substr(at + 1, stop - at - 1);
      ASSIGN_OR_RETURN(value, is_item ? item(value, name) : attribute(evaluation_, value, name));
      at = stop + (is_item ? 1 : 0);
    }
    return value;
  }

 private:
  Result<Object> first(std::string_view name) {
    const bool numbered = !name.empty() && name.find_first_not_of("0123456789") == name.npos;
    if (!name.empty() && !numbered) {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      return invalid_argument(str("the format names '", printable(name), "', which is not given"));
    }
    std::size_t index = next_;
    if (name.empty()) ++next_;
    if (numbered) index = parse_index(name);
    if (index < arguments_.positional.size()) return arguments_.positional[index];
    return invalid_argument("Replacement index out of range for positional args tuple");
  }

  Result<Object> item(const Object& value, std::string_view name) {
    if (!name.empty() && name.find_first_not_of("0123456789") == name.npos) {
      return subscript(evaluation_, value, Object(static_cast<std::int64_t>(parse_index(name))));
    }
    return subscript(evaluation_, value, Object::text(std::string(name)));
  }

  static std::size_t parse_index(std::string_view digits) {
    std::size_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return result.ec == std::errc() ? value : SIZE_MAX / 2;
  }

  Evaluation& evaluation_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
};

// One replacement field, without its braces.
Status append_field(TextBuilder& out, std::string_view field, Fields& fields, bool safe) {
  const std::size_t colon = std::min(field.find(':'), field.size());
  const std::string_view specification =
      colon < field.size() ? field.substr(colon + 1) : std::string_view();
  if (specification.find('{') != field.npos) {
    return unsupported("nested fields in a format specification");
  }
  std::string_view path = field.substr(0, colon);
  char conversion = 's';
  if (const std::size_t mark = path.find('!'); mark != path.npos) {
    if (mark + 2 != path.size()) return invalid_argument("bad conversion in a format string");
    conversion = path[mark + 1];
    path = path.substr(0, mark);
    if (conversion != 's' && conversion != 'r') return unsupported("the format conversion !a");
  }
  ASSIGN_OR_RETURN(Object value, fields.get(path));
  if (conversion == 'r') {
    TextBuilder repr(out.evaluation());
    append_repr(repr, value);
    ASSIGN_OR_RETURN(value, std::move(repr).finish());
  }
  ASSIGN_OR_RETURN(std::string text, convert_braces(out.evaluation(), value, specification));
  if (safe && !(value.as_text() && value.as_text()->safe)) {
    std::string escaped;
    append_escaped(escaped, text);
    text = std::move(escaped);
  }
  out.append(text);
  return ok_status();
}

}  // namespace

Result<Object> format_percent(Evaluation& evaluation, const Text& format, const Object& values) {
  TextBuilder out(evaluation);
  PercentValues given(values);
  const std::string_view text = format.bytes;
  std::size_t at = 0;
  while (out.ok()) {
    const std::size_t found = std::min(text.find('%', at), text.size());
    out.append(text.substr(at, found - at));
    if (found == text.size()) break;
    at = found + 1;
    RETURN_IF_ERROR(evaluation.step());
    RETURN_IF_ERROR(append_conversion(out, text, at, given, format.safe));
  }
  if (!given.all_used()) {
    return invalid_argument("not all arguments converted during string formatting");
  }
  return std::move(out).finish(format.safe);
}

Result<Object> format_braces(Evaluation& evaluation,
                             const Text& format,
                             const Arguments& arguments) {
  TextBuilder out(evaluation);
  Fields fields(evaluation, arguments);
  const std::string_view text = format.bytes;
  std::size_t at = 0;
  while (out.ok()) {
    const std::size_t found = std::min(text.find_first_of("{}", at), text.size());
    out.append(text.substr(at, found - at));
    if (found == text.size()) break;
    if (found + 1 < text.size() && text[found + 1] == text[found]) {
      out.append(text[found]);
      at = found + 2;
      continue;
    }
    if (text[found] == '}') return invalid_argument("Single '}' encountered in format string");
    const std::size_t end = text.find('}', found);
    if (end == text.npos) return invalid_argument("Single '{' encountered in format string");
    RETURN_IF_ERROR(evaluation.step());
    RETURN_IF_ERROR(
        append_field(out, text.substr(found + 1, end - found - 1), fields, format.safe));
    at = end + 1;
  }
  return std::move(out).finish(format.safe);
}

}  // namespace inferneo::text::jinja
