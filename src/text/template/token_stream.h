// The parser's place in the tokens, and the bounds that both halves of the parser share.
// Thread: one owner. Ownership: owns the tokens.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "base/str.h"
#include "text/template/lexer.h"

namespace inferneo::text::jinja {

class TokenStream {
 public:
  // Invariant: the last token is kEnd and is never passed.
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  [[nodiscard]] const Token& current() const { return tokens_[at_]; }
  [[nodiscard]] const Token& next() const {
    return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_];
  }
  void advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  Token take() {
    Token token = tokens_[at_];
    advance();
    return token;
  }

  [[nodiscard]] bool is(TokenKind kind) const { return current().kind == kind; }
  [[nodiscard]] bool is_operator(std::string_view text) const {
    return is(TokenKind::kOperator) && current().text == text;
  }
  [[nodiscard]] bool is_name(std::string_view text) const {
    return is(TokenKind::kName) && current().text == text;
  }
  bool skip_operator(std::string_view text) {
    const bool found = is_operator(text);
    if (found) advance();
    return found;
  }
  bool skip_name(std::string_view text) {
    const bool found = is_name(text);
    if (found) advance();
    return found;
  }

  Status expect_operator(std::string_view text) {
    if (skip_operator(text)) return ok_status();
    return error(str("expected '", text, "', got ", describe()));
  }
  Result<std::string> expect_name(std::string_view what) {
    if (is(TokenKind::kName)) return take().text;
    return error(str("expected ", what, ", got ", describe()));
  }

  [[nodiscard]] std::string describe() const {
    switch (current().kind) {
      case TokenKind::kData:
        return "text";
      case TokenKind::kVariableBegin:
        return "'{{'";
      case TokenKind::kVariableEnd:
        return "'}}'";
      case TokenKind::kBlockBegin:
        return "'{%'";
      case TokenKind::kBlockEnd:
        return "'%}'";
      case TokenKind::kString:
        return "a string";
      case TokenKind::kEnd:
        return "the end of the template";
      default:
        return str("'", printable(current().text), "'");
    }
  }
  [[nodiscard]] Status error(std::string_view message) const {
    return template_error(current().at, message);
  }

  // Counts what is open inside each other: parentheses, operators that nest, blocks.
  class Nesting {
   public:
    explicit Nesting(TokenStream& stream) : stream_(stream) { ++stream_.depth_; }
    ~Nesting() { --stream_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    [[nodiscard]] Status check() const {
      if (stream_.depth_ <= limits::kTemplateDepthMax) return ok_status();
      return stream_.error(str("nested more than ", limits::kTemplateDepthMax, " levels deep"));
    }

   private:
    TokenStream& stream_;
  };

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace inferneo::text::jinja
