#include "text/template/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/str.h"

namespace inferneo::text::jinja {
namespace {

std::int32_t height(const ExpressionPtr& expression) { return expression ? expression->height : 0; }

template <typename Items>
std::int32_t largest(const Items& items) {
  std::int32_t found = 0;
  for (const ExpressionPtr& item : items) found = std::max(found, height(item));
  return found;
}

std::int32_t height(const CallArguments& arguments) {
  std::int32_t found = std::max(height(arguments.star), height(arguments.star_star));
  found = std::max(found, largest(arguments.positional));
  for (const auto& [name, value] : arguments.named) found = std::max(found, height(value));
  return found;
}

std::int32_t child_height(const Literal&) { return 0; }
std::int32_t child_height(const NameUse&) { return 0; }
std::int32_t child_height(const AttributeUse& node) { return height(node.object); }
std::int32_t child_height(const SubscriptUse& node) {
  return std::max(height(node.object), height(node.index));
}
std::int32_t child_height(const SliceUse& node) {
  return std::max({height(node.object), height(node.start), height(node.stop), height(node.step)});
}
std::int32_t child_height(const ListOf& node) { return largest(node.items); }
std::int32_t child_height(const DictOf& node) {
  std::int32_t found = 0;
  for (const auto& [key, value] : node.entries) {
    found = std::max({found, height(key), height(value)});
  }
  return found;
}
std::int32_t child_height(const Unary& node) { return height(node.operand); }
std::int32_t child_height(const Binary& node) {
  return std::max(height(node.left), height(node.right));
}
std::int32_t child_height(const Logic& node) {
  return std::max(height(node.left), height(node.right));
}
std::int32_t child_height(const Compare& node) {
  std::int32_t found = height(node.first);
  for (const auto& [op, value] : node.rest) found = std::max(found, height(value));
  return found;
}
std::int32_t child_height(const Concatenation& node) { return largest(node.parts); }
std::int32_t child_height(const Conditional& node) {
  return std::max({height(node.value), height(node.test), height(node.otherwise)});
}
std::int32_t child_height(const CallUse& node) {
  return std::max(height(node.callee), height(node.arguments));
}
std::int32_t child_height(const FilterUse& node) {
  return std::max(height(node.input), height(node.arguments));
}
std::int32_t child_height(const PredicateUse& node) {
  return std::max(height(node.input), height(node.arguments));
}

std::optional<Comparison> comparison_of(const TokenStream& stream) {
  constexpr std::array<std::pair<std::string_view, Comparison>, 6> kOperators = {{
      {"==", Comparison::kEqual},
      {"!=", Comparison::kNotEqual},
      {"<", Comparison::kLess},
      {"<=", Comparison::kLessEqual},
      {">", Comparison::kGreater},
      {">=", Comparison::kGreaterEqual},
  }};
  for (const auto& [text, comparison] : kOperators) {
    if (stream.is_operator(text)) return comparison;
  }
  if (stream.is_name("in")) return Comparison::kIn;
  const Token& next = stream.next();
  const bool next_is_in = next.kind == TokenKind::kName && next.text == "in";
  if (stream.is_name("not") && next_is_in) return Comparison::kNotIn;
  return std::nullopt;
}

std::optional<BinaryOperator> operator_of(
    const TokenStream& stream,
    std::initializer_list<std::pair<std::string_view, BinaryOperator>> operators) {
  for (const auto& [text, op] : operators) {
    if (stream.is_operator(text)) return op;
  }
  return std::nullopt;
}

}  // namespace

template <typename Node>
Result<ExpressionPtr> ExpressionParser::make(Position at, Node node) {
  auto expression = std::make_unique<Expression>();
  expression->at = at;
  expression->height = 1 + child_height(node);
  expression->node = std::move(node);
  if (expression->height > limits::kTemplateTreeHeightMax) {
    return template_error(
        at, str("an expression has more than ", limits::kTemplateTreeHeightMax, " levels"));
  }
  return expression;
}

Result<ExpressionPtr> ExpressionParser::parse_expression(bool with_conditional) {
  const TokenStream::Nesting nesting(stream_);
  RETURN_IF_ERROR(nesting.check());
  return with_conditional ? parse_conditional() : parse_or();
}

Result<ExpressionPtr> ExpressionParser::parse_conditional() {
  const Position at = stream_.current().at;
  // Whether a condition guards the value shows only after it.
  Status outer_unknown = std::exchange(unknown_, ok_status());
  ASSIGN_OR_RETURN(ExpressionPtr value, parse_or());
  Status unknown = std::exchange(unknown_, std::move(outer_unknown));
  if (!unknown.ok() && guard_count == 0 && !stream_.is_name("if")) return unknown;
  while (stream_.skip_name("if")) {
    Conditional node;
    node.line = at.line;
    node.value = std::move(value);
    ++guard_count;
    Result<ExpressionPtr> test = parse_or();
    Result<ExpressionPtr> otherwise = ExpressionPtr();
    if (test && stream_.skip_name("else")) otherwise = parse_expression();
    --guard_count;
    ASSIGN_OR_RETURN(node.test, std::move(test));
    ASSIGN_OR_RETURN(node.otherwise, std::move(otherwise));
    ASSIGN_OR_RETURN(value, make(at, std::move(node)));
  }
  return value;
}

Result<ExpressionPtr> ExpressionParser::parse_or() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr left, parse_and());
  while (stream_.skip_name("or")) {
    ASSIGN_OR_RETURN(ExpressionPtr right, parse_and());
    ASSIGN_OR_RETURN(left, make(at, Logic{false, std::move(left), std::move(right)}));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::parse_and() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr left, parse_not());
  while (stream_.skip_name("and")) {
    ASSIGN_OR_RETURN(ExpressionPtr right, parse_not());
    ASSIGN_OR_RETURN(left, make(at, Logic{true, std::move(left), std::move(right)}));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::parse_not() {
  const Position at = stream_.current().at;
  if (!stream_.is_name("not")) return parse_compare();
  const TokenStream::Nesting nesting(stream_);
  RETURN_IF_ERROR(nesting.check());
  stream_.advance();
  ASSIGN_OR_RETURN(ExpressionPtr operand, parse_not());
  return make(at, Unary{UnaryOperator::kNot, std::move(operand)});
}

Result<ExpressionPtr> ExpressionParser::parse_compare() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr first, parse_sum());
  Compare node;
  while (const auto comparison = comparison_of(stream_)) {
    stream_.advance();
    if (*comparison == Comparison::kNotIn) stream_.advance();
    ASSIGN_OR_RETURN(ExpressionPtr right, parse_sum());
    node.rest.emplace_back(*comparison, std::move(right));
  }
  if (node.rest.empty()) return first;
  node.first = std::move(first);
  return make(at, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::parse_sum() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr left, parse_concatenation());
  while (const auto op = operator_of(
             stream_, {{"+", BinaryOperator::kAdd}, {"-", BinaryOperator::kSubtract}})) {
    stream_.advance();
    ASSIGN_OR_RETURN(ExpressionPtr right, parse_concatenation());
    ASSIGN_OR_RETURN(left, make(at, Binary{*op, std::move(left), std::move(right)}));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::parse_concatenation() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr first, parse_product());
  if (!stream_.is_operator("~")) return first;
  Concatenation node;
  node.parts.push_back(std::move(first));
  while (stream_.skip_operator("~")) {
    ASSIGN_OR_RETURN(ExpressionPtr part, parse_product());
    node.parts.push_back(std::move(part));
  }
  return make(at, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::parse_product() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr left, parse_power());
  while (const auto op = operator_of(stream_,
                                     {{"*", BinaryOperator::kMultiply},
                                      {"/", BinaryOperator::kDivide},
                                      {"//", BinaryOperator::kFloorDivide},
                                      {"%", BinaryOperator::kModulo}})) {
    stream_.advance();
    ASSIGN_OR_RETURN(ExpressionPtr right, parse_power());
    ASSIGN_OR_RETURN(left, make(at, Binary{*op, std::move(left), std::move(right)}));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::parse_power() {
  const Position at = stream_.current().at;
  ASSIGN_OR_RETURN(ExpressionPtr left, parse_unary(true));
  while (stream_.skip_operator("**")) {
    ASSIGN_OR_RETURN(ExpressionPtr right, parse_unary(true));
    ASSIGN_OR_RETURN(left,
                     make(at, Binary{BinaryOperator::kPower, std::move(left), std::move(right)}));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::parse_unary(bool with_filter) {
  const Position at = stream_.current().at;
  ExpressionPtr expression;
  if (stream_.is_operator("-") || stream_.is_operator("+")) {
    const TokenStream::Nesting nesting(stream_);
    RETURN_IF_ERROR(nesting.check());
    const UnaryOperator op =
        stream_.take().text == "-" ? UnaryOperator::kNegate : UnaryOperator::kPlus;
    ASSIGN_OR_RETURN(ExpressionPtr operand, parse_unary(false));
    ASSIGN_OR_RETURN(expression, make(at, Unary{op, std::move(operand)}));
  } else {
    ASSIGN_OR_RETURN(expression, parse_primary());
  }
  ASSIGN_OR_RETURN(expression, parse_postfix(std::move(expression)));
  if (!with_filter) return expression;
  return parse_filters_and_predicates(std::move(expression));
}

Result<ExpressionPtr> ExpressionParser::parse_postfix(ExpressionPtr expression) {
  while (true) {
    if (stream_.is_operator(".") || stream_.is_operator("[")) {
      ASSIGN_OR_RETURN(expression, parse_subscript(std::move(expression)));
    } else if (stream_.is_operator("(")) {
      ASSIGN_OR_RETURN(expression, parse_call(std::move(expression)));
    } else {
      return expression;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::parse_filters_and_predicates(ExpressionPtr expression) {
  while (true) {
    if (stream_.skip_operator("|")) {
      ASSIGN_OR_RETURN(expression, parse_filter(std::move(expression)));
    } else if (stream_.is_name("is")) {
      ASSIGN_OR_RETURN(expression, parse_predicate(std::move(expression)));
    } else if (stream_.is_operator("(")) {
      ASSIGN_OR_RETURN(expression, parse_call(std::move(expression)));
    } else {
      return expression;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::parse_filter_chain(ExpressionPtr input) {
  ASSIGN_OR_RETURN(ExpressionPtr chain, parse_filter(std::move(input)));
  while (stream_.skip_operator("|")) {
    ASSIGN_OR_RETURN(chain, parse_filter(std::move(chain)));
  }
  return chain;
}

Result<std::string> ExpressionParser::parse_dotted_name(std::string_view what) {
  ASSIGN_OR_RETURN(std::string name, stream_.expect_name(what));
  while (stream_.skip_operator(".")) {
    ASSIGN_OR_RETURN(const std::string part, stream_.expect_name(what));
    name += "." + part;
  }
  return name;
}

void ExpressionParser::note_unknown(Position at, std::string_view what, std::string_view name) {
  if (!unknown_.ok()) return;
  unknown_ = template_unsupported(at, str("no ", what, " named '", printable(name), "'"));
}

Result<ExpressionPtr> ExpressionParser::parse_filter(ExpressionPtr input) {
  const Position at = stream_.current().at;
  FilterUse node;
  ASSIGN_OR_RETURN(node.name, parse_dotted_name("the name of a filter"));
  node.filter = find_filter(node.name);
  if (!node.filter) note_unknown(at, "filter", node.name);
  if (stream_.is_operator("(")) {
    ASSIGN_OR_RETURN(node.arguments, parse_call_arguments());
  }
  node.input = std::move(input);
  return make(at, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::parse_predicate(ExpressionPtr input) {
  stream_.advance();  // is
  const Position at = stream_.current().at;
  const bool negated = stream_.skip_name("not");
  PredicateUse node;
  ASSIGN_OR_RETURN(node.name, parse_dotted_name("the name of a test"));
  node.predicate = find_predicate(node.name);
  if (!node.predicate) note_unknown(at, "test", node.name);
  if (stream_.is_operator("(")) {
    ASSIGN_OR_RETURN(node.arguments, parse_call_arguments());
  } else {
    const bool is_operand = (stream_.is(TokenKind::kName) && !stream_.is_name("else") &&
                             !stream_.is_name("or") && !stream_.is_name("and")) ||
                            stream_.is(TokenKind::kString) || stream_.is(TokenKind::kInteger) ||
                            stream_.is(TokenKind::kFloat) || stream_.is_operator("[") ||
                            stream_.is_operator("{");
    if (stream_.is_name("is")) {
      return stream_.error("You cannot chain multiple tests with is");
    }
    if (is_operand) {
      ASSIGN_OR_RETURN(ExpressionPtr operand, parse_primary());
      ASSIGN_OR_RETURN(operand, parse_postfix(std::move(operand)));
      node.arguments.positional.push_back(std::move(operand));
    }
  }
  node.input = std::move(input);
  ASSIGN_OR_RETURN(ExpressionPtr use, make(at, std::move(node)));
  if (!negated) return use;
  return make(at, Unary{UnaryOperator::kNot, std::move(use)});
}

Result<ExpressionPtr> ExpressionParser::parse_subscript(ExpressionPtr object) {
  const Position at = stream_.current().at;
  if (stream_.skip_operator(".")) {
    if (stream_.is(TokenKind::kName)) {
      return make(at, AttributeUse{std::move(object), stream_.take().text});
    }
    if (!stream_.is(TokenKind::kInteger)) return stream_.error("expected name or number");
    ASSIGN_OR_RETURN(ExpressionPtr index, parse_number());
    return make(at, SubscriptUse{std::move(object), std::move(index)});
  }
  stream_.advance();  // [
  if (stream_.is_operator(":")) return parse_slice(std::move(object), nullptr, at);
  ASSIGN_OR_RETURN(ExpressionPtr index, parse_expression());
  if (stream_.is_operator(":")) return parse_slice(std::move(object), std::move(index), at);
  if (stream_.is_operator(",")) {
    ListOf tuple;
    tuple.kind = SequenceKind::kTuple;
    tuple.items.push_back(std::move(index));
    while (stream_.skip_operator(",")) {
      if (stream_.is_operator("]")) break;
      ASSIGN_OR_RETURN(ExpressionPtr item, parse_expression());
      tuple.items.push_back(std::move(item));
    }
    ASSIGN_OR_RETURN(index, make(at, std::move(tuple)));
  }
  RETURN_IF_ERROR(stream_.expect_operator("]"));
  return make(at, SubscriptUse{std::move(object), std::move(index)});
}

Result<ExpressionPtr> ExpressionParser::parse_slice(ExpressionPtr object,
                                                    ExpressionPtr start,
                                                    Position at) {
  stream_.advance();  // the first colon
  SliceUse node;
  node.object = std::move(object);
  node.start = std::move(start);
  const auto bound_follows = [&] {
    return !stream_.is_operator(":") && !stream_.is_operator("]") && !stream_.is_operator(",");
  };
  if (bound_follows()) {
    ASSIGN_OR_RETURN(node.stop, parse_expression());
  }
  if (stream_.skip_operator(":") && bound_follows()) {
    ASSIGN_OR_RETURN(node.step, parse_expression());
  }
  RETURN_IF_ERROR(stream_.expect_operator("]"));
  return make(at, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::parse_call(ExpressionPtr callee) {
  const Position at = stream_.current().at;
  CallUse node;
  ASSIGN_OR_RETURN(node.arguments, parse_call_arguments());
  node.callee = std::move(callee);
  return make(at, std::move(node));
}

Result<CallArguments> ExpressionParser::parse_call_arguments() {
  RETURN_IF_ERROR(stream_.expect_operator("("));
  CallArguments arguments;
  bool needs_comma = false;
  while (!stream_.is_operator(")")) {
    if (needs_comma) {
      RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator(")")) break;
    }
    needs_comma = true;
    const bool is_named = stream_.is(TokenKind::kName) &&
                          stream_.next().kind == TokenKind::kOperator && stream_.next().text == "=";
    const bool after_star_star = arguments.star_star != nullptr;
    if (stream_.is_operator("*") && !arguments.star && !after_star_star) {
      stream_.advance();
      ASSIGN_OR_RETURN(arguments.star, parse_expression());
    } else if (stream_.is_operator("**") && !after_star_star) {
      stream_.advance();
      ASSIGN_OR_RETURN(arguments.star_star, parse_expression());
    } else if (is_named && !after_star_star) {
      std::string name = stream_.take().text;
      stream_.advance();
      ASSIGN_OR_RETURN(ExpressionPtr value, parse_expression());
      arguments.named.emplace_back(std::move(name), std::move(value));
    } else if (!is_named && arguments.named.empty() && !arguments.star && !after_star_star) {
      ASSIGN_OR_RETURN(ExpressionPtr value, parse_expression());
      arguments.positional.push_back(std::move(value));
    } else {
      return stream_.error("invalid syntax for function call expression");
    }
  }
  RETURN_IF_ERROR(stream_.expect_operator(")"));
  return arguments;
}

Result<ExpressionPtr> ExpressionParser::parse_primary() {
  const Position at = stream_.current().at;
  switch (stream_.current().kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kString: {
      std::string text = stream_.take().text;
      while (stream_.is(TokenKind::kString)) text += stream_.take().text;
      return make(at, Literal{Object::text(std::move(text))});
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return parse_number();
    case TokenKind::kOperator:
      break;
    default:
      return stream_.error(str("unexpected ", stream_.describe()));
  }
  if (stream_.skip_operator("(")) {
    ASSIGN_OR_RETURN(ExpressionPtr inner, parse_tuple(true, true));
    RETURN_IF_ERROR(stream_.expect_operator(")"));
    return inner;
  }
  if (stream_.is_operator("[")) return parse_list();
  if (stream_.is_operator("{")) return parse_dict();
  return stream_.error(str("unexpected ", stream_.describe()));
}

Result<ExpressionPtr> ExpressionParser::parse_name() {
  const Token token = stream_.take();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return make(token.at, Literal{Object(true)});
  if (name == "false" || name == "False") return make(token.at, Literal{Object(false)});
  if (name == "none" || name == "None") return make(token.at, Literal{Object()});
  for (MacroDefinition* macro : macros) {
    macro->uses_caller = macro->uses_caller || name == "caller";
    macro->uses_varargs = macro->uses_varargs || name == "varargs";
    macro->uses_kwargs = macro->uses_kwargs || name == "kwargs";
  }
  return make(token.at, NameUse{name});
}

Result<ExpressionPtr> ExpressionParser::parse_number() {
  const Token token = stream_.take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.kind == TokenKind::kInteger) {
    std::int64_t value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc()) {
      return template_error(token.at, "an integer does not fit into 64 bits");
    }
    return make(token.at, Literal{Object(value)});
  }
  double value = 0;
  if (std::from_chars(begin, end, value).ec != std::errc()) {
    return template_error(token.at, "a number is out of range");
  }
  return make(token.at, Literal{Object(value)});
}

Result<ExpressionPtr> ExpressionParser::parse_list() {
  const Position at = stream_.take().at;
  ListOf node;
  while (!stream_.is_operator("]")) {
    if (!node.items.empty()) {
      RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator("]")) break;
    }
    ASSIGN_OR_RETURN(ExpressionPtr item, parse_expression());
    node.items.push_back(std::move(item));
  }
  RETURN_IF_ERROR(stream_.expect_operator("]"));
  return make(at, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::parse_dict() {
  const Position at = stream_.take().at;
  DictOf node;
  while (!stream_.is_operator("}")) {
    if (!node.entries.empty()) {
      RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator("}")) break;
    }
    ASSIGN_OR_RETURN(ExpressionPtr key, parse_expression());
    RETURN_IF_ERROR(stream_.expect_operator(":"));
    ASSIGN_OR_RETURN(ExpressionPtr value, parse_expression());
    node.entries.emplace_back(std::move(key), std::move(value));
  }
  RETURN_IF_ERROR(stream_.expect_operator("}"));
  return make(at, std::move(node));
}

Result<ExpressionPtr> ExpressionParser::parse_tuple(bool with_conditional,
                                                    bool is_parenthesised,
                                                    std::string_view end_name) {
  const Position at = stream_.current().at;
  const auto at_end = [&] {
    return stream_.is(TokenKind::kVariableEnd) || stream_.is(TokenKind::kBlockEnd) ||
           stream_.is_operator(")") || (!end_name.empty() && stream_.is_name(end_name));
  };
  ListOf tuple;
  tuple.kind = SequenceKind::kTuple;
  bool has_comma = false;
  while (!at_end()) {
    ASSIGN_OR_RETURN(ExpressionPtr item, parse_expression(with_conditional));
    tuple.items.push_back(std::move(item));
    if (!stream_.skip_operator(",")) break;
    has_comma = true;
  }
  if (!has_comma && tuple.items.size() == 1) return std::move(tuple.items.front());
  if (tuple.items.empty() && !is_parenthesised) {
    return stream_.error(str("Expected an expression, got ", stream_.describe()));
  }
  return make(at, std::move(tuple));
}

}  // namespace inferneo::text::jinja
