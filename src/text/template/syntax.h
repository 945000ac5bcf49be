// The tree of a template, as the parser makes it and the interpreter walks it.
// Thread: any (immutable after parsing). Ownership: nodes own their children.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/template/filters.h"
#include "text/template/lexer.h"
#include "text/template/object.h"
#include "text/template/operators.h"
#include "text/template/predicates.h"

namespace inferneo::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;
struct Statement;
using Body = std::vector<Statement>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star;       // *values, or null
  ExpressionPtr star_star;  // **values, or null
};

struct Literal {
  Object value;
};
struct NameUse {
  std::string name;
};
struct AttributeUse {
  ExpressionPtr object;
  std::string name;
};
struct SubscriptUse {
  ExpressionPtr object;
  ExpressionPtr index;
};
struct SliceUse {
  ExpressionPtr object;
  ExpressionPtr start, stop, step;  // null when left out
};
struct ListOf {
  SequenceKind kind = SequenceKind::kList;
  std::vector<ExpressionPtr> items;
};
struct DictOf {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
enum class UnaryOperator : std::uint8_t { kNegate, kPlus, kNot };
struct Unary {
  UnaryOperator op;
  ExpressionPtr operand;
};
struct Binary {
  BinaryOperator op;
  ExpressionPtr left, right;
};
struct Logic {
  bool is_and = false;
  ExpressionPtr left, right;
};
enum class Comparison : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};
struct Compare {
  ExpressionPtr first;
  std::vector<std::pair<Comparison, ExpressionPtr>> rest;
};
struct Concatenation {
  std::vector<ExpressionPtr> parts;
};
struct Conditional {
  std::int32_t line = 1;
  ExpressionPtr value, test;
  ExpressionPtr otherwise;  // null when left out
};
struct CallUse {
  ExpressionPtr callee;
  CallArguments arguments;
};
struct FilterUse {
  ExpressionPtr input;  // null for the text of a filter or set block
  std::string name;
  const Filter* filter = nullptr;  // null when there is none of that name
  CallArguments arguments;
};
struct PredicateUse {
  ExpressionPtr input;
  std::string name;
  const Predicate* predicate = nullptr;  // null when there is none of that name
  CallArguments arguments;
};

struct Expression {
  Position at;
  std::int32_t height = 1;
  std::variant<Literal,
               NameUse,
               AttributeUse,
               SubscriptUse,
               SliceUse,
               ListOf,
               DictOf,
               Unary,
               Binary,
               Logic,
               Compare,
               Concatenation,
               Conditional,
               CallUse,
               FilterUse,
               PredicateUse>
      node;
};

// Where a value is assigned: a name, an attribute of a namespace, or several targets.
struct Target {
  Position at;
  std::string name;
  std::string attribute;  // not empty: name.attribute
  bool is_tuple = false;
  std::vector<Target> items;  // of a tuple
};

struct Parameter {
  std::string name;
  ExpressionPtr default_value;  // or null
};

// What a macro, a call block or a generation block defines.
struct MacroDefinition {
  std::string name;
  std::vector<Parameter> parameters;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
  Body body;
};

struct OutputText {
  std::string text;
};
struct OutputValue {
  ExpressionPtr value;
};
struct IfStatement {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct ForStatement {
  Target target;
  ExpressionPtr items;
  ExpressionPtr condition;  // or null
  bool recursive = false;   // loop(items) runs it again
  Body body;
  Body otherwise;
};
struct SetStatement {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  ExpressionPtr filter;  // or null
  Body body;
};
struct MacroStatement {
  std::shared_ptr<const MacroDefinition> definition;
};
struct CallBlock {
  ExpressionPtr call;
  std::shared_ptr<const MacroDefinition> caller;
};
struct FilterBlock {
  ExpressionPtr filter;
  Body body;
};
struct WithStatement {
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Body body;
};
// {% generation %} marks what the assistant wrote; the text passes through.
struct GenerationBlock {
  Body body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  Position at;
  std::variant<OutputText,
               OutputValue,
               IfStatement,
               ForStatement,
               SetStatement,
               SetBlock,
               MacroStatement,
               CallBlock,
               FilterBlock,
               WithStatement,
               GenerationBlock,
               BreakStatement,
               ContinueStatement>
      node;
};

}  // namespace inferneo::text::jinja
