// The expression half of the parser. Thread: one owner. Ownership: borrows the token stream.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/template/syntax.h"
#include "text/template/token_stream.h"

namespace inferneo::text::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  Result<ExpressionPtr> parse_expression(bool with_conditional = true);
  // One expression, or several with commas between them, which make a tuple.
  Result<ExpressionPtr> parse_tuple(bool with_conditional,
                                    bool is_parenthesised,
                                    std::string_view end_name = {});
  // A chain of filters on `input`, beginning at a filter's name.
  Result<ExpressionPtr> parse_filter_chain(ExpressionPtr input);
  Result<CallArguments> parse_call_arguments();
  Result<ExpressionPtr> parse_postfix(ExpressionPtr expression);
  Result<ExpressionPtr> parse_primary();

  // Unknown filters and tests fail at compile time, unless a condition guards them.
  int guard_count = 0;
  // Definitions being parsed; uses of caller, varargs and kwargs are noted in them.
  std::vector<MacroDefinition*> macros;

 private:
  using Parse = Result<ExpressionPtr> (ExpressionParser::*)();

  Result<ExpressionPtr> parse_conditional();
  Result<ExpressionPtr> parse_or();
  Result<ExpressionPtr> parse_and();
  Result<ExpressionPtr> parse_not();
  Result<ExpressionPtr> parse_compare();
  Result<ExpressionPtr> parse_sum();
  Result<ExpressionPtr> parse_concatenation();
  Result<ExpressionPtr> parse_product();
  Result<ExpressionPtr> parse_power();
  Result<ExpressionPtr> parse_unary(bool with_filter);
  Result<ExpressionPtr> parse_filters_and_predicates(ExpressionPtr expression);
  Result<ExpressionPtr> parse_filter(ExpressionPtr input);
  Result<ExpressionPtr> parse_predicate(ExpressionPtr input);
  Result<ExpressionPtr> parse_subscript(ExpressionPtr object);
  Result<ExpressionPtr> parse_slice(ExpressionPtr object, ExpressionPtr start, Position at);
  Result<ExpressionPtr> parse_call(ExpressionPtr callee);
  Result<ExpressionPtr> parse_name();
  Result<ExpressionPtr> parse_number();
  Result<ExpressionPtr> parse_list();
  Result<ExpressionPtr> parse_dict();
  Result<std::string> parse_dotted_name(std::string_view what);

  void note_unknown(Position at, std::string_view what, std::string_view name);

  template <typename Node>
  Result<ExpressionPtr> make(Position at, Node node);

  TokenStream& stream_;
  // The first unknown filter or test of the expression being parsed.
  Status unknown_;
};

}  // namespace inferneo::text::jinja
