// The statements of templates.
#include "text/template/interpreter.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

class Macro final : public Callable {
 public:
  Macro(Interpreter& interpreter, std::shared_ptr<const MacroDefinition> definition, Scope& scope)
      : interpreter_(interpreter), definition_(std::move(definition)), scope_(scope) {}

  std::string describe() const override { return str("<Macro '", definition_->name, "'>"); }

  Result<Object> call(Evaluation&, const Arguments& arguments) const override {
    return interpreter_.call_macro(*definition_, scope_, arguments);
  }

 private:
  Interpreter& interpreter_;
  std::shared_ptr<const MacroDefinition> definition_;
  Scope& scope_;
};

// The loop variable of a recursive loop, called.
class LoopAgain final : public Callable {
 public:
  LoopAgain(Interpreter& interpreter, const ForStatement& node, Scope& scope, std::size_t depth0)
      : interpreter_(interpreter), node_(node), scope_(scope), depth0_(depth0) {}

  std::string describe() const override { return "<LoopContext>"; }

  Result<Object> call(Evaluation&, const Arguments& arguments) const override {
    return interpreter_.call_loop(node_, scope_, depth0_ + 1, arguments);
  }

 private:
  Interpreter& interpreter_;
  const ForStatement& node_;
  Scope& scope_;
  std::size_t depth0_;
};

// A loop variable that outlives its loop does not reach back into it.
class LoopEnd {
 public:
  explicit LoopEnd(Loop& loop) : loop_(loop) {}
  ~LoopEnd() {
    loop_.last_changed = Object();
    loop_.again.reset();
  }
  LoopEnd(const LoopEnd&) = delete;
  LoopEnd& operator=(const LoopEnd&) = delete;

 private:
  Loop& loop_;
};

}  // namespace

class Interpreter::Block {
 public:
  Block(Interpreter& interpreter, Scope& parent)
      : interpreter_(interpreter), scope_(std::make_unique<Scope>()) {
    scope_->parent = &parent;
  }
  ~Block() {
    if (scope_->is_captured) interpreter_.captured_.push_back(std::move(scope_));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  Scope& scope() { return *scope_; }

 private:
  Interpreter& interpreter_;
  std::unique_ptr<Scope> scope_;
};

Interpreter::~Interpreter() {
  for (const auto& scope : captured_) scope->variables.clear();
}

Result<std::string> Interpreter::run(const Body& body) {
  auto root = std::make_unique<Scope>();
  Scope& scope = *root;
  captured_.push_back(std::move(root));
  std::string out;
  RETURN_IF_ERROR(execute(body, scope, out).status());
  return out;
}

Result<Interpreter::Flow> Interpreter::execute(const Body& body, Scope& scope, std::string& out) {
  for (const Statement& statement : body) {
    ASSIGN_OR_RETURN(const Flow flow, execute_one(statement, scope, out));
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::execute_one(const Statement& statement,
                                                   Scope& scope,
                                                   std::string& out) {
  RETURN_IF_ERROR(evaluation_.step());
  Result<Flow> flow =
      std::visit([&](const auto& node) { return run_statement(node, scope, out); }, statement.node);
  if (flow.has_value() || !flow.error().where().empty()) return flow;
  return std::move(flow).error().with_where(place(statement.at));
}

// The output of a block as text of its own.
Result<std::string> Interpreter::execute_apart(const Body& body, Scope& scope) {
  std::string out;
  RETURN_IF_ERROR(execute(body, scope, out).status());
  return out;
}

Status Interpreter::write(std::string_view text, std::string& out) {
  RETURN_IF_ERROR(evaluation_.work(text.size()));
  if (text.size() > limits::kTemplateOutputSizeMax - out.size()) {
    return resource_exhausted(
        str("the chat template writes more than ", limits::kTemplateOutputSizeMax, " bytes"));
  }
  out += text;
  return ok_status();
}

Status Interpreter::write(const Object& value, std::string& out) {
  if (const Text* text = value.as_text()) return write(text->bytes, out);
  TextBuilder printed(evaluation_);
  append_str(printed, value);
  ASSIGN_OR_RETURN(const std::string text, std::move(printed).finish_bytes());
  return write(text, out);
}

Result<Interpreter::Flow> Interpreter::run_statement(const OutputText& node,
                                                     Scope&,
                                                     std::string& out) {
  RETURN_IF_ERROR(write(node.text, out));
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const OutputValue& node,
                                                     Scope& scope,
                                                     std::string& out) {
  ASSIGN_OR_RETURN(const Object value, evaluate(*node.value, scope));
  RETURN_IF_ERROR(write(value, out));
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const IfStatement& node,
                                                     Scope& scope,
                                                     std::string& out) {
  for (const auto& [test, body] : node.branches) {
    ASSIGN_OR_RETURN(const Object value, evaluate(*test, scope));
    if (truth(value)) return execute(body, scope, out);
  }
  return execute(node.otherwise, scope, out);
}

Result<std::vector<Object>> Interpreter::loop_items(const ForStatement& node,
                                                    const Object& iterable,
                                                    Scope& scope) {
  ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation_, iterable));
  if (!node.condition) return items;
  std::vector<Object> kept;
  for (Object& item : items) {
    Block block(*this, scope);
    RETURN_IF_ERROR(assign(node.target, item, block.scope()));
    ASSIGN_OR_RETURN(const Object keeps, evaluate(*node.condition, block.scope()));
    if (truth(keeps)) kept.push_back(std::move(item));
  }
  return kept;
}

Result<Interpreter::Flow> Interpreter::run_statement(const ForStatement& node,
                                                     Scope& scope,
                                                     std::string& out) {
  ASSIGN_OR_RETURN(const Object iterable, evaluate(*node.items, scope));
  ASSIGN_OR_RETURN(std::vector<Object> items, loop_items(node, iterable, scope));
  return run_loop(node, std::move(items), 0, scope, out);
}

Result<Object> Interpreter::call_loop(const ForStatement& node,
                                      Scope& scope,
                                      std::size_t depth0,
                                      const Arguments& arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    return invalid_argument("loop() takes one argument, the items to loop over");
  }
  if (macro_depth_ >= limits::kTemplateDepthMax) {
    return resource_exhausted(
        str("a loop calls itself more than ", limits::kTemplateDepthMax, " levels deep"));
  }
  ASSIGN_OR_RETURN(std::vector<Object> items,
                   loop_items(node, arguments.positional.front(), scope));
  std::string out;
  ++macro_depth_;
  const Result<Flow> flow = run_loop(node, std::move(items), depth0, scope, out);
  --macro_depth_;
  RETURN_IF_ERROR(flow.status());
  return Object::text(std::move(out));
}

Result<Interpreter::Flow> Interpreter::run_loop(const ForStatement& node,
                                                std::vector<Object> items,
                                                std::size_t depth0,
                                                Scope& scope,
                                                std::string& out) {
  const auto loop = std::make_shared<Loop>();
  loop->depth0 = depth0;
  if (node.recursive) loop->again = std::make_shared<LoopAgain>(*this, node, scope, depth0);
  loop->items = std::make_shared<Sequence>();
  loop->items->items = std::move(items);
  // loop.changed(loop) would hold itself.
  const LoopEnd end(*loop);
  // The else branch runs unless one pass came to the end of the body: jinja2 clears its mark
  // there, so that a loop left by break in its first pass counts as empty.
  bool completed_pass = false;
  for (std::size_t i = 0; i < loop->items->items.size(); ++i) {
    RETURN_IF_ERROR(evaluation_.step());
    loop->index0 = i;
    Block block(*this, scope);
    block.scope().variables["loop"] = Object(loop);
    RETURN_IF_ERROR(assign(node.target, loop->items->items[i], block.scope()));
    ASSIGN_OR_RETURN(const Flow flow, execute(node.body, block.scope(), out));
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kNormal) completed_pass = true;
  }
  if (completed_pass || node.otherwise.empty()) return Flow::kNormal;
  Block block(*this, scope);
  return execute(node.otherwise, block.scope(), out);
}

Status Interpreter::assign(const Target& target, Object value, Scope& scope) {
  if (target.is_tuple) return assign_tuple(target, value, scope);
  if (target.attribute.empty()) {
    scope.variables[target.name] = std::move(value);
    return ok_status();
  }
  ASSIGN_OR_RETURN(const Object object, evaluate_node(NameUse{target.name}, scope));
  Namespace* space = object.as_namespace();
  if (!space) return invalid_argument("cannot assign attribute on non-namespace object");
  Object key = Object::text(target.attribute);
  RETURN_IF_ERROR(evaluation_.work(target.attribute.size()));
  space->attributes.insert(std::move(key), str("s", target.attribute), std::move(value));
  return ok_status();
}

Status Interpreter::assign_tuple(const Target& target, const Object& value, Scope& scope) {
  if (!value.as_sequence() && !value.as_dict() && !value.as_text()) {
    return invalid_argument(str("cannot unpack non-iterable ", type_name(value), " object"));
  }
  ASSIGN_OR_RETURN(std::vector<Object> items, iterate(evaluation_, value));
  const std::size_t expected = target.items.size();
  if (items.size() > expected) {
    return invalid_argument(
        str("too many values to unpack (expected ", expected, ", got ", items.size(), ")"));
  }
  if (items.size() < expected) {
    return invalid_argument(
        str("not enough values to unpack (expected ", expected, ", got ", items.size(), ")"));
  }
  for (std::size_t i = 0; i < expected; ++i) {
    RETURN_IF_ERROR(assign(target.items[i], std::move(items[i]), scope));
  }
  return ok_status();
}

Result<Interpreter::Flow> Interpreter::run_statement(const SetStatement& node,
                                                     Scope& scope,
                                                     std::string&) {
  ASSIGN_OR_RETURN(Object value, evaluate(*node.value, scope));
  RETURN_IF_ERROR(assign(node.target, std::move(value), scope));
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const SetBlock& node,
                                                     Scope& scope,
                                                     std::string&) {
  Block block(*this, scope);
  ASSIGN_OR_RETURN(std::string text, execute_apart(node.body, block.scope()));
  Object value = Object::text(std::move(text));
  if (node.filter) {
    const Object input = value;
    const Object* outer = std::exchange(block_text_, &input);
    Result<Object> filtered = evaluate(*node.filter, block.scope());
    block_text_ = outer;
    ASSIGN_OR_RETURN(value, std::move(filtered));
  }
  RETURN_IF_ERROR(assign(node.target, std::move(value), scope));
  return Flow::kNormal;
}

Object Interpreter::make_macro(std::shared_ptr<const MacroDefinition> definition, Scope& scope) {
  for (Scope* at = &scope; at && !at->is_captured; at = at->parent) at->is_captured = true;
  return Object(std::shared_ptr<const Callable>(
      std::make_shared<Macro>(*this, std::move(definition), scope)));
}

Result<Interpreter::Flow> Interpreter::run_statement(const MacroStatement& node,
                                                     Scope& scope,
                                                     std::string&) {
  RETURN_IF_ERROR(evaluation_.work(sizeof(Scope)));
  scope.variables[node.definition->name] = make_macro(node.definition, scope);
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const CallBlock& node,
                                                     Scope& scope,
                                                     std::string& out) {
  RETURN_IF_ERROR(evaluation_.work(sizeof(Scope)));
  const Object caller = make_macro(node.caller, scope);
  ASSIGN_OR_RETURN(const Object value, call(std::get<CallUse>(node.call->node), scope, &caller));
  RETURN_IF_ERROR(write(value, out));
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const FilterBlock& node,
                                                     Scope& scope,
                                                     std::string& out) {
  Block block(*this, scope);
  ASSIGN_OR_RETURN(std::string text, execute_apart(node.body, block.scope()));
  const Object input = Object::text(std::move(text));
  const Object* outer = std::exchange(block_text_, &input);
  Result<Object> filtered = evaluate(*node.filter, block.scope());
  block_text_ = outer;
  ASSIGN_OR_RETURN(const Object value, std::move(filtered));
  RETURN_IF_ERROR(write(value, out));
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_statement(const WithStatement& node,
                                                     Scope& scope,
                                                     std::string& out) {
  Block block(*this, scope);
  for (const auto& [target, expression] : node.assignments) {
    // The values see the variables outside, not each other.
    ASSIGN_OR_RETURN(Object value, evaluate(*expression, scope));
    RETURN_IF_ERROR(assign(target, std::move(value), block.scope()));
  }
  return execute(node.body, block.scope(), out);
}

Result<Interpreter::Flow> Interpreter::run_statement(const GenerationBlock& node,
                                                     Scope& scope,
                                                     std::string& out) {
  Block block(*this, scope);
  return execute(node.body, block.scope(), out);
}

Result<Interpreter::Flow> Interpreter::run_statement(const BreakStatement&, Scope&, std::string&) {
  return Flow::kBreak;
}

Result<Interpreter::Flow> Interpreter::run_statement(const ContinueStatement&,
                                                     Scope&,
                                                     std::string&) {
  return Flow::kContinue;
}

Result<Object> Interpreter::call_macro(const MacroDefinition& definition,
                                       Scope& scope,
                                       const Arguments& arguments) {
  if (macro_depth_ >= limits::kTemplateDepthMax) {
    return resource_exhausted(
        str("macros call each other more than ", limits::kTemplateDepthMax, " levels deep"));
  }
  Block block(*this, scope);
  RETURN_IF_ERROR(bind_parameters(definition, block.scope(), arguments));
  ++macro_depth_;
  Result<std::string> text = execute_apart(definition.body, block.scope());
  --macro_depth_;
  if (!text) return std::move(text).error();
  return Object::text(*std::move(text));
}

// Spec: Macro.__call__ of jinja2.
Status Interpreter::bind_parameters(const MacroDefinition& definition,
                                    Scope& scope,
                                    const Arguments& arguments) {
  const std::size_t count = definition.parameters.size();
  std::vector<std::pair<std::string, Object>> named = arguments.named;
  const auto take_named = [&](std::string_view name) -> std::optional<Object> {
    const auto found = std::find_if(
        named.begin(), named.end(), [&](const auto& entry) { return entry.first == name; });
    if (found == named.end()) return std::nullopt;
    Object value = std::move(found->second);
    named.erase(found);
    return value;
  };
  std::vector<const Parameter*> missing;
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& parameter = definition.parameters[i];
    if (i < arguments.positional.size()) {
      scope.variables[parameter.name] = arguments.positional[i];
    } else if (auto value = take_named(parameter.name)) {
      scope.variables[parameter.name] = *std::move(value);
    } else {
      missing.push_back(&parameter);
    }
  }
  for (const Parameter* parameter : missing) {
    Object value = Object::undefined(str("parameter '", parameter->name, "' was not provided"));
    if (parameter->default_value) {
      ASSIGN_OR_RETURN(value, evaluate(*parameter->default_value, scope));
    }
    scope.variables[parameter->name] = std::move(value);
  }
  if (definition.uses_caller && !scope.variables.contains("caller")) {
    const auto caller = take_named("caller");
    scope.variables["caller"] = caller ? *caller : Object::undefined("No caller defined");
  }
  if (definition.uses_kwargs) {
    auto rest = std::make_shared<Dict>();
    for (auto& [name, value] : named) {
      rest->insert(Object::text(name), str("s", name), std::move(value));
    }
    ASSIGN_OR_RETURN(scope.variables["kwargs"], evaluation_.make_dict(std::move(rest)));
  } else if (!named.empty()) {
    return invalid_argument(
        str("macro '", definition.name, "' takes no keyword argument '", named.front().first, "'"));
  }
  std::vector<Object> rest;
  if (arguments.positional.size() > count) {
    rest.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                arguments.positional.end());
  }
  if (definition.uses_varargs) {
    ASSIGN_OR_RETURN(scope.variables["varargs"],
                     evaluation_.make_sequence(SequenceKind::kTuple, std::move(rest)));
  } else if (!rest.empty()) {
    return invalid_argument(
        str("macro '", definition.name, "' takes not more than ", count, " argument(s)"));
  }
  return ok_status();
}

}  // namespace inferneo::text::jinja
