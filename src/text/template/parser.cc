#include "text/template/parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "base/str.h"
#include "text/template/expression_parser.h"
#include "text/template/token_stream.h"

namespace inferneo::text::jinja {
namespace {

using Ends = std::initializer_list<std::string_view>;

class Parser {
 public:
  explicit Parser(TokenStream& stream) : stream_(stream), expressions_(stream) {}

  // Statements up to "{%" and one of `ends`, whose name is then current; up to the end of the
  // template when there are none.
  Result<Body> parse_body(Ends ends) {
    const TokenStream::Nesting nesting(stream_);
    RETURN_IF_ERROR(nesting.check());
    Body body;
    while (!stream_.is(TokenKind::kEnd)) {
      const Position at = stream_.current().at;
      if (stream_.is(TokenKind::kData)) {
        body.push_back({at, OutputText{stream_.take().text}});
      } else if (stream_.is(TokenKind::kVariableBegin)) {
        stream_.advance();
        ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.parse_tuple(true, false));
        if (!stream_.is(TokenKind::kVariableEnd)) {
          return stream_.error(str("expected '}}', got ", stream_.describe()));
        }
        stream_.advance();
        body.push_back({at, OutputValue{std::move(value)}});
      } else {
        stream_.advance();
        if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) {
              return stream_.is_name(end);
            })) {
          return body;
        }
        RETURN_IF_ERROR(parse_statement(body, at));
        RETURN_IF_ERROR(expect_block_end());
      }
    }
    if (ends.size() == 0) return body;
    return stream_.error(str("unexpected end of the template, expected '", *(ends.end() - 1), "'"));
  }

 private:
  Status expect_block_end() {
    if (!stream_.is(TokenKind::kBlockEnd)) {
      return stream_.error(str("expected '%}', got ", stream_.describe()));
    }
    stream_.advance();
    return ok_status();
  }

  // The body of a block whose opening tag ends here, and the name that closes it.
  Result<Body> parse_block(Ends ends) {
    RETURN_IF_ERROR(expect_block_end());
    ASSIGN_OR_RETURN(Body body, parse_body(ends));
    return body;
  }

  Result<Body> parse_last_block(std::string_view end) {
    ASSIGN_OR_RETURN(Body body, parse_block({end}));
    stream_.advance();
    return body;
  }

  Status parse_statement(Body& body, Position at) {
    if (!stream_.is(TokenKind::kName)) return stream_.error("tag name expected");
    const Token token = stream_.take();
    const std::string& name = token.text;
    if (name == "if") return parse_if(body, at);
    if (name == "for") return parse_for(body, at);
    if (name == "set") return parse_set(body, at);
    if (name == "macro") return parse_macro(body, at);
    if (name == "call") return parse_call_block(body, at);
    if (name == "filter") return parse_filter_block(body, at);
    if (name == "with") return parse_with(body, at);
    if (name == "print") return parse_print(body, at);
    if (name == "generation") return parse_generation(body, at);
    if (name == "break" || name == "continue") return parse_jump(body, at, name);
    return refuse(name, at);
  }

  static Status refuse(const std::string& name, Position at) {
    constexpr std::array<std::string_view, 10> kLeftOut = {"autoescape",
                                                           "block",
                                                           "debug",
                                                           "do",
                                                           "extends",
                                                           "from",
                                                           "import",
                                                           "include",
                                                           "trans",
                                                           "pluralize"};
    if (std::find(kLeftOut.begin(), kLeftOut.end(), name) != kLeftOut.end()) {
      return template_unsupported(at,
                                  str("the tag '", name, "' is not supported in chat templates"));
    }
    return template_error(at, str("Encountered unknown tag '", printable(name), "'."));
  }

  Status parse_if(Body& body, Position at) {
    IfStatement node;
    ++expressions_.guard_count;
    Status status = parse_branches(node);
    --expressions_.guard_count;
    RETURN_IF_ERROR(std::move(status));
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  Status parse_branches(IfStatement& node) {
    while (true) {
      ASSIGN_OR_RETURN(ExpressionPtr test, expressions_.parse_tuple(false, false));
      ASSIGN_OR_RETURN(Body branch, parse_block({"elif", "else", "endif"}));
      node.branches.emplace_back(std::move(test), std::move(branch));
      if (stream_.skip_name("elif")) continue;
      const bool has_else = stream_.is_name("else");
      stream_.advance();
      if (has_else) {
        ASSIGN_OR_RETURN(node.otherwise, parse_last_block("endif"));
      }
      return ok_status();
    }
  }

  Status parse_for(Body& body, Position at) {
    ForStatement node;
    ASSIGN_OR_RETURN(node.target, parse_target(true, false));
    if (!stream_.skip_name("in")) {
      return stream_.error(str("expected 'in', got ", stream_.describe()));
    }
    ASSIGN_OR_RETURN(node.items, expressions_.parse_tuple(false, false, "recursive"));
    if (stream_.skip_name("if")) {
      ASSIGN_OR_RETURN(node.condition, expressions_.parse_expression());
    }
    node.recursive = stream_.skip_name("recursive");
    ++loop_count_;
    Result<Body> parsed = parse_block({"else", "endfor"});
    --loop_count_;
    ASSIGN_OR_RETURN(node.body, std::move(parsed));
    if (stream_.take().text == "else") {
      ASSIGN_OR_RETURN(node.otherwise, parse_last_block("endfor"));
    }
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  Status parse_set(Body& body, Position at) {
    ASSIGN_OR_RETURN(Target target, parse_target(true, true));
    if (stream_.skip_operator("=")) {
      ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.parse_tuple(true, false));
      body.push_back({at, SetStatement{std::move(target), std::move(value)}});
      return ok_status();
    }
    SetBlock node;
    if (stream_.skip_operator("|")) {
      ASSIGN_OR_RETURN(node.filter, expressions_.parse_filter_chain(nullptr));
    }
    ASSIGN_OR_RETURN(node.body, parse_last_block("endset"));
    node.target = std::move(target);
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  // A name, name.attribute, or several of them with commas.
  Result<Target> parse_target(bool with_tuple, bool with_namespace) {
    Target tuple;
    tuple.at = stream_.current().at;
    bool has_comma = false;
    while (true) {
      ASSIGN_OR_RETURN(Target item, parse_single_target(with_namespace));
      tuple.items.push_back(std::move(item));
      if (!with_tuple || !stream_.skip_operator(",")) break;
      has_comma = true;
      if (!stream_.is(TokenKind::kName) && !stream_.is_operator("(")) break;
      if (stream_.is_name("in")) break;
    }
    if (!has_comma) return std::move(tuple.items.front());
    tuple.is_tuple = true;
    return tuple;
  }

  Result<Target> parse_single_target(bool with_namespace) {
    const TokenStream::Nesting nesting(stream_);
    RETURN_IF_ERROR(nesting.check());
    if (stream_.skip_operator("(")) {
      ASSIGN_OR_RETURN(Target inner, parse_target(true, with_namespace));
      RETURN_IF_ERROR(stream_.expect_operator(")"));
      return inner;
    }
    Target target;
    target.at = stream_.current().at;
    ASSIGN_OR_RETURN(target.name, stream_.expect_name("the name of a variable"));
    constexpr std::array<std::string_view, 6> kConstants = {
        "true", "True", "false", "False", "none", "None"};
    if (std::find(kConstants.begin(), kConstants.end(), target.name) != kConstants.end()) {
      return template_error(target.at, "can't assign to 'const'");
    }
    if (with_namespace && stream_.skip_operator(".")) {
      ASSIGN_OR_RETURN(target.attribute, stream_.expect_name("the name of an attribute"));
    }
    return target;
  }

  // "(a, b=1)" of a macro or a call block.
  Result<std::vector<Parameter>> parse_parameters() {
    RETURN_IF_ERROR(stream_.expect_operator("("));
    std::vector<Parameter> parameters;
    while (!stream_.is_operator(")")) {
      if (!parameters.empty()) {
        RETURN_IF_ERROR(stream_.expect_operator(","));
        if (stream_.is_operator(")")) break;
      }
      Parameter parameter;
      ASSIGN_OR_RETURN(parameter.name, stream_.expect_name("the name of a parameter"));
      if (stream_.skip_operator("=")) {
        ASSIGN_OR_RETURN(parameter.default_value, expressions_.parse_expression());
      } else if (!parameters.empty() && parameters.back().default_value) {
        return stream_.error("non-default argument follows default argument");
      }
      parameters.push_back(std::move(parameter));
    }
    RETURN_IF_ERROR(stream_.expect_operator(")"));
    return parameters;
  }

  // The body of something that is called: break and continue do not reach out of it.
  Status parse_definition(MacroDefinition& definition, std::string_view end) {
    const int outer_loops = std::exchange(loop_count_, 0);
    expressions_.macros.push_back(&definition);
    Result<Body> body = parse_last_block(end);
    expressions_.macros.pop_back();
    loop_count_ = outer_loops;
    ASSIGN_OR_RETURN(definition.body, std::move(body));
    return ok_status();
  }

  Status parse_macro(Body& body, Position at) {
    auto definition = std::make_shared<MacroDefinition>();
    ASSIGN_OR_RETURN(definition->name, stream_.expect_name("the name of a macro"));
    ASSIGN_OR_RETURN(definition->parameters, parse_parameters());
    RETURN_IF_ERROR(parse_definition(*definition, "endmacro"));
    body.push_back({at, MacroStatement{std::move(definition)}});
    return ok_status();
  }

  Status parse_call_block(Body& body, Position at) {
    auto definition = std::make_shared<MacroDefinition>();
    definition->name = "caller";
    if (stream_.is_operator("(")) {
      ASSIGN_OR_RETURN(definition->parameters, parse_parameters());
    }
    CallBlock node;
    ASSIGN_OR_RETURN(node.call, expressions_.parse_expression());
    if (!std::holds_alternative<CallUse>(node.call->node)) {
      return template_error(at, "expected call");
    }
    RETURN_IF_ERROR(parse_definition(*definition, "endcall"));
    node.caller = std::move(definition);
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  Status parse_filter_block(Body& body, Position at) {
    FilterBlock node;
    ASSIGN_OR_RETURN(node.filter, expressions_.parse_filter_chain(nullptr));
    ASSIGN_OR_RETURN(node.body, parse_last_block("endfilter"));
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  Status parse_with(Body& body, Position at) {
    WithStatement node;
    while (!stream_.is(TokenKind::kBlockEnd)) {
      if (!node.assignments.empty()) RETURN_IF_ERROR(stream_.expect_operator(","));
      ASSIGN_OR_RETURN(Target target, parse_target(false, false));
      RETURN_IF_ERROR(stream_.expect_operator("="));
      ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.parse_expression());
      node.assignments.emplace_back(std::move(target), std::move(value));
    }
    ASSIGN_OR_RETURN(node.body, parse_last_block("endwith"));
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  Status parse_print(Body& body, Position at) {
    while (!stream_.is(TokenKind::kBlockEnd)) {
      ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.parse_expression());
      body.push_back({at, OutputValue{std::move(value)}});
      if (!stream_.is(TokenKind::kBlockEnd)) RETURN_IF_ERROR(stream_.expect_operator(","));
    }
    return ok_status();
  }

  Status parse_generation(Body& body, Position at) {
    const int outer_loops = std::exchange(loop_count_, 0);
    Result<Body> inner = parse_last_block("endgeneration");
    loop_count_ = outer_loops;
    GenerationBlock node;
    ASSIGN_OR_RETURN(node.body, std::move(inner));
    body.push_back({at, std::move(node)});
    return ok_status();
  }

  Status parse_jump(Body& body, Position at, std::string_view name) {
    if (loop_count_ == 0) return template_error(at, str("'", name, "' outside of a loop"));
    if (name == "break") {
      body.push_back({at, BreakStatement{}});
    } else {
      body.push_back({at, ContinueStatement{}});
    }
    return ok_status();
  }

  TokenStream& stream_;
  ExpressionParser expressions_;
  int loop_count_ = 0;
};

}  // namespace

Result<Body> parse_template(std::string_view source) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize_template(source));
  TokenStream stream(std::move(tokens));
  return Parser(stream).parse_body({});
}

}  // namespace inferneo::text::jinja
