#include "text/template/predicates.h"

#include <array>

#include "base/str.h"
#include "text/template/filters.h"
#include "text/template/methods.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

// A test without arguments.
template <bool (*Holds)(const Object&)>
Result<bool> simple(Evaluation&, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("test", arguments, {}, 0).status());
  return Holds(input);
}

bool is_defined(const Object& input) { return !input.is_undefined(); }
bool is_undefined(const Object& input) { return input.is_undefined(); }
bool is_none(const Object& input) { return input.is_none(); }
bool is_boolean(const Object& input) { return input.as_bool() != nullptr; }
bool is_true(const Object& input) { return input.as_bool() && *input.as_bool(); }
bool is_false(const Object& input) { return input.as_bool() && !*input.as_bool(); }
bool is_integer(const Object& input) { return input.as_int() != nullptr; }
bool is_float(const Object& input) { return input.as_double() != nullptr; }
bool is_number(const Object& input) { return number_of(input).has_value(); }
bool is_string(const Object& input) { return input.as_text() != nullptr; }
bool is_mapping(const Object& input) { return input.as_dict() != nullptr; }
bool is_escaped(const Object& input) { return input.as_text() && input.as_text()->safe; }

// What has a length and can be indexed; in jinja2 undefined values pass too.
bool is_sequence(const Object& input) {
  if (input.as_text() || input.as_dict() || input.is_undefined()) return true;
  const Sequence* sequence = input.as_sequence();
  return sequence &&
         (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple ||
          sequence->kind == SequenceKind::kRange);
}

bool is_iterable(const Object& input) {
  return input.as_text() || input.as_dict() || input.as_sequence() || input.as_loop() ||
         input.is_undefined();
}

bool is_callable(const Object& input) {
  return input.as_callable() || input.as_loop() || input.is_undefined();
}

Result<bool> remainder_is(Evaluation& evaluation,
                          const Object& input,
                          const Object& divisor,
                          std::int64_t wanted) {
  ASSIGN_OR_RETURN(const Object remainder,
                   apply_binary(evaluation, BinaryOperator::kModulo, input, divisor));
  return equals(evaluation, remainder, Object(wanted));
}

Result<bool> odd(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("odd", arguments, {}, 0).status());
  return remainder_is(evaluation, input, Object(std::int64_t{2}), 1);
}

Result<bool> even(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("even", arguments, {}, 0).status());
  return remainder_is(evaluation, input, Object(std::int64_t{2}), 0);
}

Result<bool> divisible_by(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("divisibleby", arguments, {"num"}, 1));
  return remainder_is(evaluation, input, *bound[0], 0);
}

Result<bool> in(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("in", arguments, {"seq"}, 1));
  return contains(evaluation, *bound[0], input);
}

Result<bool> same_as(Evaluation&, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("sameas", arguments, {"other"}, 1));
  return input.is_same(*bound[0]);
}

Result<bool> equal(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("eq", arguments, {"other"}, 1));
  return equals(evaluation, input, *bound[0]);
}

Result<bool> not_equal(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool same, equal(evaluation, input, arguments));
  return !same;
}

template <Ordering Wanted>
Result<bool> ordered(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("comparison", arguments, {"other"}, 1));
  return compare(evaluation, Wanted, input, *bound[0]);
}

Result<bool> text_case(Evaluation& evaluation,
                       const Object& input,
                       const Arguments& arguments,
                       std::string_view method) {
  RETURN_IF_ERROR(bind_arguments("test", arguments, {}, 0).status());
  ASSIGN_OR_RETURN(const Object text, to_text(evaluation, input));
  ASSIGN_OR_RETURN(const Object answer,
                   find_text_method(method)->call(evaluation, text, Arguments()));
  return truth(answer);
}

Result<bool> lower(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return text_case(evaluation, input, arguments, "islower");
}

Result<bool> upper(Evaluation& evaluation, const Object& input, const Arguments& arguments) {
  return text_case(evaluation, input, arguments, "isupper");
}

bool names_filter(const Object& input) {
  return input.as_text() && find_filter(input.as_text()->bytes);
}

bool names_predicate(const Object& input) {
  return input.as_text() && find_predicate(input.as_text()->bytes);
}

constexpr auto kPredicates = std::to_array<Predicate>({
    {"!=", not_equal},
    {"<", ordered<Ordering::kLess>},
    {"<=", ordered<Ordering::kLessEqual>},
    {"==", equal},
    {">", ordered<Ordering::kGreater>},
    {">=", ordered<Ordering::kGreaterEqual>},
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", divisible_by},
    {"eq", equal},
    {"equalto", equal},
    {"escaped", simple<is_escaped>},
    {"even", even},
    {"false", simple<is_false>},
    {"filter", simple<names_filter>},
    {"float", simple<is_float>},
    {"ge", ordered<Ordering::kGreaterEqual>},
    {"greaterthan", ordered<Ordering::kGreater>},
    {"gt", ordered<Ordering::kGreater>},
    {"in", in},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", ordered<Ordering::kLessEqual>},
    {"lessthan", ordered<Ordering::kLess>},
    {"lower", lower},
    {"lt", ordered<Ordering::kLess>},
    {"mapping", simple<is_mapping>},
    {"ne", not_equal},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", odd},
    {"sameas", same_as},
    {"sequence", simple<is_sequence>},
    {"string", simple<is_string>},
    {"test", simple<names_predicate>},
    {"true", simple<is_true>},
    {"undefined", simple<is_undefined>},
    {"upper", upper},
});

}  // namespace

const Predicate* find_predicate(std::string_view name) {
  for (const Predicate& predicate : kPredicates) {
    if (predicate.name == name) return &predicate;
  }
  return nullptr;
}

}  // namespace inferneo::text::jinja
