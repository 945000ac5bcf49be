// Walks a template's tree and writes its output.
// Scopes are those of jinja2: a loop, macro, call, filter, set or with block has its own, an if has
// none; what a block sets is gone after it, except attributes of namespaces.
// Thread: one render. Ownership: borrows the tree, the root variables and the evaluation.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/template/evaluation.h"
#include "text/template/object.h"
#include "text/template/syntax.h"

namespace inferneo::text::jinja {

// Variables of a block. Invariant: a parent outlives its children.
struct Scope {
  Scope* parent = nullptr;
  std::map<std::string_view, Object> variables;
  // A macro was defined here or below and may be called after the block has ended.
  bool is_captured = false;
};

class Interpreter {
 public:
  Interpreter(Evaluation& evaluation, const Dict& variables)
      : evaluation_(evaluation), variables_(variables) {}
  // Takes captured scopes apart, which may hold the macros that hold them.
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  Result<std::string> run(const Body& body);

  // What a macro does when it is called.
  Result<Object> call_macro(const MacroDefinition& definition,
                            Scope& scope,
                            const Arguments& arguments);
  // What loop(items) does in a recursive loop.
  Result<Object> call_loop(const ForStatement& node,
                           Scope& scope,
                           std::size_t depth0,
                           const Arguments& arguments);

 private:
  enum class Flow { kNormal, kBreak, kContinue };

  // Owns a scope during a block and keeps it when a macro needs it afterwards.
  class Block;

  Result<Flow> execute(const Body& body, Scope& scope, std::string& out);
  Result<Flow> execute_one(const Statement& statement, Scope& scope, std::string& out);
  Result<std::string> execute_apart(const Body& body, Scope& scope);

  Result<Flow> run_statement(const OutputText& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const OutputValue& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const IfStatement& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const ForStatement& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const SetStatement& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const SetBlock& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const MacroStatement& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const CallBlock& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const FilterBlock& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const WithStatement& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const GenerationBlock& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const BreakStatement& node, Scope& scope, std::string& out);
  Result<Flow> run_statement(const ContinueStatement& node, Scope& scope, std::string& out);

  Result<std::vector<Object>> loop_items(const ForStatement& node,
                                         const Object& iterable,
                                         Scope& scope);
  Result<Flow> run_loop(const ForStatement& node,
                        std::vector<Object> items,
                        std::size_t depth0,
                        Scope& scope,
                        std::string& out);
  Status assign(const Target& target, Object value, Scope& scope);
  Status assign_tuple(const Target& target, const Object& value, Scope& scope);
  Object make_macro(std::shared_ptr<const MacroDefinition> definition, Scope& scope);
  Status bind_parameters(const MacroDefinition& definition,
                         Scope& scope,
                         const Arguments& arguments);
  Status write(const Object& value, std::string& out);
  Status write(std::string_view text, std::string& out);

  Result<Object> evaluate(const Expression& expression, Scope& scope);
  Result<Object> evaluate_node(const Literal& node, Scope& scope);
  Result<Object> evaluate_node(const NameUse& node, Scope& scope);
  Result<Object> evaluate_node(const AttributeUse& node, Scope& scope);
  Result<Object> evaluate_node(const SubscriptUse& node, Scope& scope);
  Result<Object> evaluate_node(const SliceUse& node, Scope& scope);
  Result<Object> evaluate_node(const ListOf& node, Scope& scope);
  Result<Object> evaluate_node(const DictOf& node, Scope& scope);
  Result<Object> evaluate_node(const Unary& node, Scope& scope);
  Result<Object> evaluate_node(const Binary& node, Scope& scope);
  Result<Object> evaluate_node(const Logic& node, Scope& scope);
  Result<Object> evaluate_node(const Compare& node, Scope& scope);
  Result<Object> evaluate_node(const Concatenation& node, Scope& scope);
  Result<Object> evaluate_node(const Conditional& node, Scope& scope);
  Result<Object> evaluate_node(const CallUse& node, Scope& scope);
  Result<Object> evaluate_node(const FilterUse& node, Scope& scope);
  Result<Object> evaluate_node(const PredicateUse& node, Scope& scope);
  Result<bool> evaluate_comparison(Comparison comparison, const Object& left, const Object& right);
  Result<Arguments> evaluate_arguments(const CallArguments& arguments, Scope& scope);
  Result<Object> call(const CallUse& node, Scope& scope, const Object* caller);

  Evaluation& evaluation_;
  const Dict& variables_;
  // The text that a filter or set block gives to its filters.
  const Object* block_text_ = nullptr;
  std::size_t macro_depth_ = 0;
  std::vector<std::unique_ptr<Scope>> captured_;
};

}  // namespace inferneo::text::jinja
