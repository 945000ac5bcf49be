#include "text/tokenizer/pattern.h"

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
  Result<Regex> regex = Regex::compile(text);
  if (!regex) {
    return std::move(regex)
        .error()
        .with_context(expression->where())
        .with_where(expression->where());
  }
  pattern.source_ = text;
  pattern.regex_ = std::move(regex).value();
  return pattern;
}

}  // namespace inferneo::text
