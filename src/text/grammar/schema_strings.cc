#include "text/grammar/schema_strings.h"

#include <algorithm>
#include <utility>

#include "base/str.h"
#include "text/grammar/code_points.h"
#include "text/grammar/determinise.h"
#include "text/grammar/regex.h"

namespace inferneo::text::grammar {
namespace {

struct Format {
  std::string_view name;
  std::string_view pattern;  // of the whole text; empty: any text
};

#define DATE_                                                                                      \
  "[12][0-9]{3}-(((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01]))|((0[469]|11)-(0[1-9]|[12][0-9]|30))|" \
  "02-"                                                                                            \
  "(0[1-9]|1[0-9]|2[0-8]))"
#define TIME_                                                                                  \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-" \
  "9])"
#define LABEL_ "[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?"
#define HOST_ LABEL_ "(\\." LABEL_ "){0,3}"
#define OCTET_ "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define HEX4_ "[0-9a-fA-F]{1,4}"
#define PATH_CHARACTERS_ "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"

// Spec: RFC 3339 (years of the last and this millennium, February with 28 days, so that every
// date exists), RFC 9562, RFC 5321 with
// dot atoms, RFC 1123, RFC 2673, RFC 4291 (with at most one "::"), RFC 3986 with an authority, ISO
// 8601.
constexpr Format kFormats[] = {
    {"date-time", DATE_ "T" TIME_},
    {"date", DATE_},
    {"time", TIME_},
    {"duration",
     "P([0-9]{1,4}W|([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|[0-9]{1,4}D)"
     "(T[0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?)?|T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{"
     "1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))"},
    {"email", "[A-Za-z0-9_+-]{1,16}(\\.[A-Za-z0-9_+-]{1,16}){0,3}@" HOST_},
    {"hostname", HOST_},
    {"ipv4", OCTET_ "(\\." OCTET_ "){3}"},
    {"ipv6",
     "(" HEX4_ ":){7}" HEX4_ "|::(" HEX4_ "(:" HEX4_ "){0,6})?|" HEX4_ "::(" HEX4_ "(:" HEX4_
     "){0,5})?|" HEX4_ ":" HEX4_ "::(" HEX4_ "(:" HEX4_ "){0,4})?"},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
    {"uri",
     "[a-z][a-z0-9+.-]{0,15}://" HOST_ "(:[1-9][0-9]{0,3})?(/" PATH_CHARACTERS_
     "*)*(\\?(" PATH_CHARACTERS_ "|[/?])*)?(#(" PATH_CHARACTERS_ "|[/?])*)?"},
    {"byte", "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"},
    {"password", ""},
    {"binary", ""},
};
#undef DATE_
#undef TIME_
#undef LABEL_
#undef HOST_
#undef OCTET_
#undef HEX4_
#undef PATH_CHARACTERS_

}  // namespace

Result<const Dfa*> StringLanguages::keep(std::string key, Result<Dfa> dfa) {
  if (!dfa.has_value()) return std::move(dfa).error();
  return &known_.emplace(std::move(key), *std::move(dfa)).first->second;
}

Result<const Dfa*> StringLanguages::pattern(const std::string& pattern) {
  const std::string key = "p" + pattern;
  if (const auto found = known_.find(key); found != known_.end()) return &found->second;
  return keep(key, compile_regex_search(grammar_.expressions, pattern, Spelling::kInJson));
}

Result<const Dfa*> StringLanguages::format(const std::string& name) {
  const auto* format = std::ranges::find(kFormats, name, &Format::name);
  if (format == std::end(kFormats)) {
    std::string names;
    for (const Format& known : kFormats) names += str(names.empty() ? "" : ", ", known.name);
    return unsupported(
        str("the format '", printable(name), "' is not supported; these are: ", names));
  }
  if (format->pattern.empty()) return static_cast<const Dfa*>(nullptr);
  const std::string key = "f" + name;
  if (const auto found = known_.find(key); found != known_.end()) return &found->second;
  return keep(key, compile_regex(grammar_.expressions, format->pattern, Spelling::kInJson));
}

const Dfa& StringLanguages::any() {
  if (!any_) {
    Expressions& e = grammar_.expressions;
    const ExprId character = spell(e, CodePointSet().complement(), Spelling::kInJson);
    Result<Dfa> dfa = determinise(e, e.repeat(character, 0, kRepeatForever));
    any_ = dfa.has_value() ? minimise(*std::move(dfa), e.budget()) : Dfa{};
  }
  return *any_;
}

Result<Dfa> StringLanguages::length(std::uint32_t min, std::uint32_t max) {
  Expressions& e = grammar_.expressions;
  const ExprId character = spell(e, CodePointSet().complement(), Spelling::kInJson);
  ASSIGN_OR_RETURN(Dfa one, determinise(e, character));
  const ExprId compact = e.dfa(minimise(std::move(one), e.budget()));
  return determinise(e, e.repeat(compact, min, max));
}

bool StringLanguages::contains(const Dfa& language, std::string_view text) {
  return matches(language, spell_text(text, Spelling::kInJson));
}

}  // namespace inferneo::text::grammar
