// Arithmetic of templates: numbers, and + * % on text and lists.
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/str.h"
#include "text/template/characters.h"
#include "text/template/formatting.h"
#include "text/template/operators.h"

namespace inferneo::text::jinja {
namespace {

std::string_view symbol(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "** or pow()";
  }
  return "?";
}

Status too_large() {
  return invalid_argument("an integer of the chat template does not fit into 64 bits");
}

Status division_by_zero() { return invalid_argument("division by zero"); }

Result<Object> integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return invalid_argument("zero to a negative power");
    return Object(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return too_large();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return too_large();
  }
  return Object(result);
}

// Rounds towards minus infinity, as Python does.
std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

Result<Object> integers(BinaryOperator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case BinaryOperator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) return too_large();
      return Object(result);
    case BinaryOperator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) return too_large();
      return Object(result);
    case BinaryOperator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) return too_large();
      return Object(result);
    case BinaryOperator::kPower:
      return integer_power(a, b);
    default:
      break;
  }
  if (b == 0) return division_by_zero();
  if (op == BinaryOperator::kDivide) {
    return Object(static_cast<double>(a) / static_cast<double>(b));
  }
  if (b == -1) {  // the one quotient that can overflow
    if (op == BinaryOperator::kModulo) return Object(std::int64_t{0});
    return integers(BinaryOperator::kSubtract, 0, a);
  }
  const std::int64_t quotient = floor_quotient(a, b);
  return Object(op == BinaryOperator::kFloorDivide ? quotient : a - quotient * b);
}

Result<Object> floats(BinaryOperator op, double a, double b) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Object(a + b);
    case BinaryOperator::kSubtract:
      return Object(a - b);
    case BinaryOperator::kMultiply:
      return Object(a * b);
    case BinaryOperator::kPower: {
      if (a == 0 && b < 0) return invalid_argument("zero to a negative power");
      const double result = std::pow(a, b);
      if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) {
        return unsupported("complex numbers in a chat template");
      }
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) return too_large();
      return Object(result);
    }
    default:
      break;
  }
  if (b == 0) return division_by_zero();
  if (op == BinaryOperator::kDivide) return Object(a / b);
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  if (remainder == 0) remainder = std::copysign(0.0, b);
  if (op == BinaryOperator::kModulo) return Object(remainder);
  const double quotient = (a - remainder) / b;
  return Object(std::floor(quotient) + (quotient - std::floor(quotient) > 0.5 ? 1.0 : 0.0));
}

// Markup escapes what it is joined with.
Result<Object> join_texts(Evaluation& evaluation, const Text& left, const Text& right) {
  TextBuilder out(evaluation);
  const bool safe = left.safe || right.safe;
  for (const Text* part : {&left, &right}) {
    if (safe && !part->safe) {
      std::string escaped;
      append_escaped(escaped, part->bytes);
      out.append(escaped);
    } else {
      out.append(part->bytes);
    }
  }
  return std::move(out).finish(safe);
}

Result<Object> repeat_text(Evaluation& evaluation, const Text& text, std::int64_t times) {
  TextBuilder out(evaluation);
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  if (text.bytes.empty() || count == 0) return std::move(out).finish(text.safe);
  if (count > limits::kTemplateWorkSizeMax / text.bytes.size()) {
    return resource_exhausted("a repeated string of the chat template is too long");
  }
  RETURN_IF_ERROR(evaluation.work(text.bytes.size() * count));
  std::string bytes;
  bytes.reserve(text.bytes.size() * count);
  for (std::size_t i = 0; i < count; ++i) bytes += text.bytes;
  return Object::text(std::move(bytes), text.safe);
}

bool is_list_or_tuple(const Object& object) {
  const Sequence* sequence = object.as_sequence();
  return sequence &&
         (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple);
}

Result<Object> repeat_items(Evaluation& evaluation, const Sequence& sequence, std::int64_t times) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  const std::size_t size = sequence.items.size();
  if (size != 0 && count > limits::kTemplateWorkSizeMax / (size * sizeof(Object))) {
    return resource_exhausted("a repeated list of the chat template is too long");
  }
  if (!evaluation.can_work(size * count * sizeof(Object))) {
    return evaluation.work(size * count * sizeof(Object));
  }
  std::vector<Object> items;
  items.reserve(size * count);
  for (std::size_t i = 0; i < (size == 0 ? 0 : count); ++i) {
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return evaluation.make_sequence(sequence.kind, std::move(items));
}

Result<Object> join_items(Evaluation& evaluation, const Sequence& left, const Sequence& right) {
  RETURN_IF_ERROR(evaluation.work((left.items.size() + right.items.size()) * sizeof(Object)));
  std::vector<Object> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return evaluation.make_sequence(left.kind, std::move(items));
}

// The operations that are not on two numbers; empty when the types do not go together.
Result<std::optional<Object>> apply_to_others(Evaluation& evaluation,
                                              BinaryOperator op,
                                              const Object& left,
                                              const Object& right) {
  const auto given = [](Result<Object> result) -> Result<std::optional<Object>> {
    if (!result) return std::move(result).error();
    return std::optional<Object>(*std::move(result));
  };
  if (op == BinaryOperator::kModulo && left.as_text()) {
    return given(format_percent(evaluation, *left.as_text(), right));
  }
  if (op == BinaryOperator::kAdd) {
    if (left.as_text() && right.as_text()) {
      return given(join_texts(evaluation, *left.as_text(), *right.as_text()));
    }
    if (is_list_or_tuple(left) && is_list_or_tuple(right) &&
        left.as_sequence()->kind == right.as_sequence()->kind) {
      return given(join_items(evaluation, *left.as_sequence(), *right.as_sequence()));
    }
  }
  if (op == BinaryOperator::kMultiply) {
    const Object& other = integer_of(right) ? left : right;
    const auto times = integer_of(right) ? integer_of(right) : integer_of(left);
    if (times && other.as_text()) return given(repeat_text(evaluation, *other.as_text(), *times));
    if (times && is_list_or_tuple(other)) {
      return given(repeat_items(evaluation, *other.as_sequence(), *times));
    }
  }
  return std::optional<Object>();
}

}  // namespace

std::optional<std::int64_t> integer_of(const Object& object) {
  if (const std::int64_t* number = object.as_int()) return *number;
  if (const bool* flag = object.as_bool()) return *flag ? 1 : 0;
  return std::nullopt;
}

std::optional<double> number_of(const Object& object) {
  if (const double* number = object.as_double()) return *number;
  if (const auto number = integer_of(object)) return static_cast<double>(*number);
  return std::nullopt;
}

Result<Object> apply_binary(Evaluation& evaluation,
                            BinaryOperator op,
                            const Object& left,
                            const Object& right) {
  if (left.is_undefined()) return undefined_error(left);
  const bool formats = op == BinaryOperator::kModulo && left.as_text();
  if (right.is_undefined() && !formats) return undefined_error(right);
  const auto a = integer_of(left);
  const auto b = integer_of(right);
  if (a && b) return integers(op, *a, *b);
  const auto x = number_of(left);
  const auto y = number_of(right);
  if (x && y) return floats(op, *x, *y);
  ASSIGN_OR_RETURN(std::optional<Object> result, apply_to_others(evaluation, op, left, right));
  if (result) return *std::move(result);
  if (op == BinaryOperator::kAdd && left.as_text()) {
    return invalid_argument(
        str("can only concatenate str (not \"", type_name(right), "\") to str"));
  }
  return invalid_argument(str("unsupported operand type(s) for ",
                              symbol(op),
                              ": '",
                              type_name(left),
                              "' and '",
                              type_name(right),
                              "'"));
}

Result<Object> negate(const Object& object) {
  if (object.is_undefined()) return undefined_error(object);
  if (const auto number = integer_of(object))
    return integers(BinaryOperator::kSubtract, 0, *number);
  if (const double* number = object.as_double()) return Object(-*number);
  return invalid_argument(str("bad operand type for unary -: '", type_name(object), "'"));
}

Result<Object> positive(const Object& object) {
  if (object.is_undefined()) return undefined_error(object);
  if (const auto number = integer_of(object)) return Object(*number);
  if (object.as_double()) return object;
  return invalid_argument(str("bad operand type for unary +: '", type_name(object), "'"));
}

}  // namespace inferneo::text::jinja
