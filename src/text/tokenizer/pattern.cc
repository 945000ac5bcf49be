#include "text/tokenizer/pattern.h"

#include "base/str.h"

namespace inferneo::text {

Result<Pattern> Pattern::parse(const JsonView& entry) {
  Pattern pattern;
  ASSIGN_OR_RETURN(const JsonView place, entry.member("pattern"));
  ASSIGN_OR_RETURN(const std::optional<JsonView> literal, place.optional_member("String"));
  if (literal) {
    ASSIGN_OR_RETURN(const std::string_view text, literal->string());
    pattern.source_ = text;
    return pattern;
  }
  ASSIGN_OR_RETURN(const std::optional<JsonView> expression, place.optional_member("Regex"));
  if (!expression) return place.corrupt("has neither String nor Regex");
  ASSIGN_OR_RETURN(const std::string_view text, expression->string());
  Result<Pattern> compiled = of_expression(text);
  if (!compiled) {
    return std::move(compiled)
        .error()
        .with_context(expression->where())
        .with_where(expression->where());
  }
  return compiled;
}

Pattern Pattern::of_text(std::string_view text) {
  Pattern pattern;
  pattern.source_ = text;
  return pattern;
}

Result<Pattern> Pattern::of_expression(std::string_view expression) {
  Pattern pattern;
  ASSIGN_OR_RETURN(Regex regex, Regex::compile(expression));
  pattern.source_ = expression;
  pattern.regex_ = std::move(regex);
  return pattern;
}

Result<std::string> Pattern::parse_content(const JsonView& entry) {
  constexpr std::size_t kContentSizeMax = 64;
  ASSIGN_OR_RETURN(const std::string_view content, entry.string_member("content"));
  if (content.size() > kContentSizeMax) {
    return unsupported(str(entry.where(),
                           ".content has ",
                           content.size(),
                           " bytes; more than ",
                           kContentSizeMax,
                           " are not supported"))
        .with_where(entry.where());
  }
  return std::string(content);
}

}  // namespace inferneo::text
