// The expressions of templates.
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "text/template/functions.h"
#include "text/template/interpreter.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {

Result<Object> Interpreter::evaluate(const Expression& expression, Scope& scope) {
  RETURN_IF_ERROR(evaluation_.step());
  if (evaluation_.frame_count >= limits::kTemplateFrameCountMax) {
    return resource_exhausted("the chat template's expressions and macros nest too deeply");
  }
  ++evaluation_.frame_count;
  Result<Object> value =
      std::visit([&](const auto& node) { return evaluate_node(node, scope); }, expression.node);
  --evaluation_.frame_count;
  if (value.has_value() || !value.error().where().empty()) return value;
  return std::move(value).error().with_where(place(expression.at));
}

Result<Object> Interpreter::evaluate_node(const Literal& node, Scope&) { return node.value; }

Result<Object> Interpreter::evaluate_node(const NameUse& node, Scope& scope) {
  for (const Scope* at = &scope; at; at = at->parent) {
    const auto found = at->variables.find(node.name);
    if (found != at->variables.end()) return found->second;
  }
  if (const Object* value = variables_.find_text(node.name)) return *value;
  if (auto function = find_function(node.name)) return *std::move(function);
  return Object::undefined(str("'", node.name, "' is undefined"));
}

Result<Object> Interpreter::evaluate_node(const AttributeUse& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object object, evaluate(*node.object, scope));
  return attribute(evaluation_, object, node.name);
}

Result<Object> Interpreter::evaluate_node(const SubscriptUse& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object object, evaluate(*node.object, scope));
  ASSIGN_OR_RETURN(const Object index, evaluate(*node.index, scope));
  return subscript(evaluation_, object, index);
}

Result<Object> Interpreter::evaluate_node(const SliceUse& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object object, evaluate(*node.object, scope));
  SliceBounds bounds;
  const auto read = [&](const ExpressionPtr& from, std::optional<std::int64_t>& to) -> Status {
    if (!from) return ok_status();
    ASSIGN_OR_RETURN(const Object value, evaluate(*from, scope));
    ASSIGN_OR_RETURN(to, slice_bound(value));
    return ok_status();
  };
  RETURN_IF_ERROR(read(node.start, bounds.start));
  RETURN_IF_ERROR(read(node.stop, bounds.stop));
  RETURN_IF_ERROR(read(node.step, bounds.step));
  return slice(evaluation_, object, bounds);
}

Result<Object> Interpreter::evaluate_node(const ListOf& node, Scope& scope) {
  std::vector<Object> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& item : node.items) {
    ASSIGN_OR_RETURN(Object value, evaluate(*item, scope));
    items.push_back(std::move(value));
  }
  return evaluation_.make_sequence(node.kind, std::move(items));
}

Result<Object> Interpreter::evaluate_node(const DictOf& node, Scope& scope) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key_expression, value_expression] : node.entries) {
    ASSIGN_OR_RETURN(Object key, evaluate(*key_expression, scope));
    ASSIGN_OR_RETURN(Object value, evaluate(*value_expression, scope));
    ASSIGN_OR_RETURN(const std::string canonical, Dict::canonical_key(key));
    RETURN_IF_ERROR(evaluation_.work(canonical.size()));
    dict->insert(std::move(key), canonical, std::move(value));
  }
  return evaluation_.make_dict(std::move(dict));
}

Result<Object> Interpreter::evaluate_node(const Unary& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object operand, evaluate(*node.operand, scope));
  switch (node.op) {
    case UnaryOperator::kNegate:
      return negate(operand);
    case UnaryOperator::kPlus:
      return positive(operand);
    case UnaryOperator::kNot:
      break;
  }
  return Object(!truth(operand));
}

Result<Object> Interpreter::evaluate_node(const Binary& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object left, evaluate(*node.left, scope));
  ASSIGN_OR_RETURN(const Object right, evaluate(*node.right, scope));
  return apply_binary(evaluation_, node.op, left, right);
}

Result<Object> Interpreter::evaluate_node(const Logic& node, Scope& scope) {
  ASSIGN_OR_RETURN(Object left, evaluate(*node.left, scope));
  if (truth(left) != node.is_and) return left;
  return evaluate(*node.right, scope);
}

Result<bool> Interpreter::evaluate_comparison(Comparison comparison,
                                              const Object& left,
                                              const Object& right) {
  switch (comparison) {
    case Comparison::kEqual:
    case Comparison::kNotEqual: {
      ASSIGN_OR_RETURN(const bool same, equals(evaluation_, left, right));
      return same == (comparison == Comparison::kEqual);
    }
    case Comparison::kLess:
      return compare(evaluation_, Ordering::kLess, left, right);
    case Comparison::kLessEqual:
      return compare(evaluation_, Ordering::kLessEqual, left, right);
    case Comparison::kGreater:
      return compare(evaluation_, Ordering::kGreater, left, right);
    case Comparison::kGreaterEqual:
      return compare(evaluation_, Ordering::kGreaterEqual, left, right);
    case Comparison::kIn:
    case Comparison::kNotIn:
      break;
  }
  ASSIGN_OR_RETURN(const bool found, contains(evaluation_, right, left));
  return found == (comparison == Comparison::kIn);
}

Result<Object> Interpreter::evaluate_node(const Compare& node, Scope& scope) {
  ASSIGN_OR_RETURN(Object left, evaluate(*node.first, scope));
  for (const auto& [comparison, expression] : node.rest) {
    ASSIGN_OR_RETURN(Object right, evaluate(*expression, scope));
    ASSIGN_OR_RETURN(const bool holds, evaluate_comparison(comparison, left, right));
    if (!holds) return Object(false);
    left = std::move(right);
  }
  return Object(true);
}

Result<Object> Interpreter::evaluate_node(const Concatenation& node, Scope& scope) {
  TextBuilder out(evaluation_);
  for (const ExpressionPtr& part : node.parts) {
    ASSIGN_OR_RETURN(const Object value, evaluate(*part, scope));
    append_str(out, value);
  }
  return std::move(out).finish();
}

Result<Object> Interpreter::evaluate_node(const Conditional& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object test, evaluate(*node.test, scope));
  if (truth(test)) return evaluate(*node.value, scope);
  if (node.otherwise) return evaluate(*node.otherwise, scope);
  return Object::undefined(str("the inline if-expression on line ",
                               node.line,
                               " evaluated to false and no else section was defined."));
}

Result<Arguments> Interpreter::evaluate_arguments(const CallArguments& arguments, Scope& scope) {
  Arguments values;
  for (const ExpressionPtr& expression : arguments.positional) {
    ASSIGN_OR_RETURN(Object value, evaluate(*expression, scope));
    values.positional.push_back(std::move(value));
  }
  if (arguments.star) {
    ASSIGN_OR_RETURN(const Object star, evaluate(*arguments.star, scope));
    ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation_, star));
    for (Object& item : items) values.positional.push_back(std::move(item));
  }
  for (const auto& [name, expression] : arguments.named) {
    ASSIGN_OR_RETURN(Object value, evaluate(*expression, scope));
    values.named.emplace_back(name, std::move(value));
  }
  if (arguments.star_star) {
    ASSIGN_OR_RETURN(const Object star, evaluate(*arguments.star_star, scope));
    const Dict* dict = star.as_dict();
    if (!dict) return invalid_argument("argument after ** must be a mapping");
    RETURN_IF_ERROR(evaluation_.step(dict->entries().size()));
    for (const Dict::Entry& entry : dict->entries()) {
      const Text* name = entry.key.as_text();
      if (!name) return invalid_argument("keywords must be strings");
      values.named.emplace_back(name->bytes, entry.value);
    }
  }
  return values;
}

Result<Object> Interpreter::evaluate_node(const CallUse& node, Scope& scope) {
  return call(node, scope, nullptr);
}

Result<Object> Interpreter::call(const CallUse& node, Scope& scope, const Object* caller) {
  ASSIGN_OR_RETURN(const Object callee, evaluate(*node.callee, scope));
  ASSIGN_OR_RETURN(Arguments arguments, evaluate_arguments(node.arguments, scope));
  if (caller) arguments.named.emplace_back("caller", *caller);
  if (callee.is_undefined()) return undefined_error(callee);
  if (const Loop* loop = callee.as_loop(); loop != nullptr) {
    if (loop->again == nullptr) {
      return invalid_argument(
          "The loop must have the 'recursive' marker to be called recursively.");
    }
    const std::shared_ptr<const Callable> again = loop->again;
    return again->call(evaluation_, arguments);
  }
  const Callable* callable = callee.as_callable();
  if (!callable) {
    return invalid_argument(str("'", type_name(callee), "' object is not callable"));
  }
  return callable->call(evaluation_, arguments);
}

Result<Object> Interpreter::evaluate_node(const FilterUse& node, Scope& scope) {
  Object input;
  if (node.input) {
    ASSIGN_OR_RETURN(input, evaluate(*node.input, scope));
  } else {
    input = *block_text_;
  }
  if (!node.filter) return unsupported(str("no filter named '", node.name, "'"));
  ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(node.arguments, scope));
  return node.filter->apply(evaluation_, input, arguments);
}

Result<Object> Interpreter::evaluate_node(const PredicateUse& node, Scope& scope) {
  ASSIGN_OR_RETURN(const Object input, evaluate(*node.input, scope));
  if (!node.predicate) return unsupported(str("no test named '", node.name, "'"));
  ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(node.arguments, scope));
  ASSIGN_OR_RETURN(const bool holds, node.predicate->holds(evaluation_, input, arguments));
  return Object(holds);
}

}  // namespace inferneo::text::jinja
