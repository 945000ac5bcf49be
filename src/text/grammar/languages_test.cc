// The languages that schemas and expressions stand for, against plain definitions.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/str.h"
#include "text/grammar/dfa.h"
#include "text/grammar/regex.h"
#include "text/grammar/schema_numbers.h"

namespace inferneo::text::grammar {
namespace {

NumberBound bound(double value, bool excluded = false) { return {value, std::nullopt, excluded}; }

TEST(NumberLanguages, integers_between_bounds) {
  for (const auto& [low, high] : std::vector<std::pair<int, int>>{
           {0, 0}, {0, 9}, {-5, 5}, {7, 1234}, {-321, -12}, {99, 101}, {-1000, 1000}, {500, 400}}) {
    Budget budget;
    Expressions e(budget);
    NumberRules rules;
    rules.low = bound(low);
    rules.high = bound(high);
    const Dfa dfa = integer_language(e, rules).value();
    for (int i = -2500; i <= 2500; ++i) {
      EXPECT_EQ(matches(dfa, str(i)), i >= low && i <= high) << i << " in " << low << ".." << high;
    }
    for (const char* bad : {"", "-", "-0", "01", "1.", "1.0", "+1", "1e1"}) {
      EXPECT_FALSE(matches(dfa, bad)) << bad;
    }
  }
}

TEST(NumberLanguages, integers_with_steps_and_excluded_bounds) {
  Budget budget;
  Expressions e(budget);
  NumberRules rules;
  rules.low = bound(-30.5, true);
  rules.high = bound(90, true);
  rules.multiple_of = 6;
  const Dfa dfa = integer_language(e, rules).value();
  for (int i = -200; i <= 200; ++i) {
    EXPECT_EQ(matches(dfa, str(i)), i > -30.5 && i < 90 && i % 6 == 0) << i;
  }
}

TEST(NumberLanguages, decimals_between_bounds) {
  struct Range {
    NumberBound low;
    NumberBound high;
  };
  for (const Range& range : std::vector<Range>{{bound(0), bound(1)},
                                               {bound(0, true), bound(1, true)},
                                               {bound(-0.25), bound(3.75)},
                                               {bound(-1.5, true), bound(-1.25, true)},
                                               {bound(9.9), bound(10)},
                                               {bound(-2), bound(0, true)},
                                               {bound(0.05), bound(0.35, true)},
                                               {bound(-12.5), bound(-0.5)}}) {
    Budget budget;
    Expressions e(budget);
    NumberRules rules;
    rules.low = range.low;
    rules.high = range.high;
    const Dfa dfa = decimal_language(e, rules).value();
    int inside = 0;
    for (int i = -13000; i <= 13000; i += 5) {
      // Thousandths, also without trailing zeros.
      const std::string digits = str(std::abs(i));
      std::string text = std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
      text.insert(text.size() - 3, ".");
      if (i < 0) text.insert(0, "-");
      const double value = std::stod(text);
      const bool fits =
          (range.low.excluded ? value > range.low.value : value >= range.low.value) &&
          (range.high.excluded ? value < range.high.value : value <= range.high.value);
      EXPECT_EQ(matches(dfa, text), fits)
          << text << " in " << range.low.value << ".." << range.high.value;
      inside += fits ? 1 : 0;
    }
    EXPECT_GT(inside, 0);
    for (const char* bad : {"", "-", ".5", "1.", "01.5", "1e1", "--1"}) {
      EXPECT_FALSE(matches(dfa, bad)) << bad;
    }
  }
}

TEST(NumberLanguages, bounds_that_cannot_be_kept_are_refused) {
  Budget budget;
  Expressions e(budget);
  NumberRules rules;
  rules.low = bound(0.12345678901234567, true);
  EXPECT_EQ(decimal_language(e, rules).status().code(), StatusCode::kUnsupported);
  rules.low = bound(1e300);
  EXPECT_EQ(decimal_language(e, rules).status().code(), StatusCode::kUnsupported);
}

Dfa whole(std::string_view pattern) {
  Budget budget;
  Expressions e(budget);
  auto dfa = compile_regex(e, pattern, Spelling::kPlain);
  EXPECT_TRUE(dfa.has_value()) << pattern << ": " << dfa.status().to_string();
  return dfa.has_value() ? *dfa : Dfa{};
}

Dfa search(std::string_view pattern) {
  Budget budget;
  Expressions e(budget);
  return compile_regex_search(e, pattern, Spelling::kPlain).value();
}

TEST(Regex, matches_what_it_says) {
  struct Case {
    const char* pattern;
    std::vector<const char*> yes;
    std::vector<const char*> no;
  };
  for (const Case& c : std::vector<Case>{
           {"a|bc", {"a", "bc"}, {"", "b", "abc"}},
           {"(a|b)*c", {"c", "abac"}, {"", "ab"}},
           {"x{2,3}", {"xx", "xxx"}, {"x", "xxxx"}},
           {"x{,2}y{2,}", {"yy", "xxyyy"}, {"xxxyy", "y"}},
           {"a{x}", {"a{x}"}, {"a"}},
           {"[^a-c]", {"d", "\xc3\xa4"}, {"a", ""}},
           {"[-a]+", {"-a-"}, {"b"}},
           {"[\\]^]", {"]", "^"}, {"\\"}},
           {"\\u00e4|\\x41|\\u{1F642}|\\ud83d\\ude43",
            {"\xc3\xa4", "A", "\xf0\x9f\x99\x82", "\xf0\x9f\x99\x83"},
            {"a"}},
           {".", {"x", "\xe2\x82\xac"}, {"\n", "", "xy", "\xe2\x80\xa8"}},
           {"^a$", {"a"}, {"ab"}},
           {"(^a|b$)", {"a", "b"}, {"ab"}},
           {"a^b", {}, {"ab", "a"}},
           {"\\d\\D\\w\\W", {"1xy ", "0-_."}, {"xx1 "}},
           {"[^\\w]", {" ", "!"}, {"a", "\xc3\xa9"}},
           {"\\p{Lu}\\P{L}", {"A1"}, {"a1", "Ab"}},
           {"(?:a(?<n>b))+?", {"ab", "abab"}, {"a"}},
           {"\\/\\.\\-", {"/.-"}, {"/x-"}},
       }) {
    const Dfa dfa = whole(c.pattern);
    for (const char* text : c.yes) EXPECT_TRUE(matches(dfa, text)) << c.pattern << " on " << text;
    for (const char* text : c.no) EXPECT_FALSE(matches(dfa, text)) << c.pattern << " on " << text;
  }
}

TEST(Regex, occurs_anywhere_unless_anchored) {
  EXPECT_TRUE(matches(search("b+"), "abbc"));
  EXPECT_FALSE(matches(search("b+"), "ac"));
  EXPECT_TRUE(matches(search("^a|c$"), "ab"));
  EXPECT_TRUE(matches(search("^a|c$"), "bc"));
  EXPECT_FALSE(matches(search("^a|c$"), "bcb"));
  EXPECT_TRUE(matches(search("^$"), ""));
  EXPECT_FALSE(matches(search("^$"), "x"));
  EXPECT_TRUE(matches(search(""), "anything"));
}

TEST(Regex, refusals_say_what_and_where) {
  struct Case {
    const char* pattern;
    const char* part;
  };
  for (const Case& c : std::vector<Case>{{"a(?=b)", "look-ahead"},
                                         {"(?<!a)b", "look-behind"},
                                         {"(a)\\1", "back references"},
                                         {"\\bword", "word boundaries"},
                                         {"(?i)a", "inline flags"},
                                         {"a++", "possessive"},
                                         {"a**", "two quantifiers"},
                                         {"^*", "behind an anchor"},
                                         {"(a", "'(' without"},
                                         {"a)", "')' without"},
                                         {"[a", "'[' without"},
                                         {"[]", "empty class"},
                                         {"a\\", "backslash"},
                                         {"\\q", "unknown escape"},
                                         {"\\u12", "hexadecimal"},
                                         {"\\ud800", "surrogate"},
                                         {"\\p{Nope}", "\\p{Nope}"},
                                         {"[[:alpha:]]", "POSIX"},
                                         {"a{2,1}", "wrong way round"},
                                         {"[b-a]", "wrong way round"},
                                         {"a{100001}", "more than 100000"},
                                         {"(?>a)", "atomic"}}) {
    Budget budget;
    Expressions e(budget);
    const Status status = compile_regex(e, c.pattern, Spelling::kPlain).status();
    EXPECT_NE(status.message().find(c.part), std::string::npos)
        << c.pattern << ": " << status.to_string();
  }
}

TEST(Regex, budgets_hold) {
  for (const char* pattern :
       {"(a|b)*a(a|b){40}", "((a{1,500}){1,500}){1,500}", "(.{1,300}x){1,300}"}) {
    Budget budget;
    Expressions e(budget);
    const Status status = compile_regex(e, pattern, Spelling::kPlain).status();
    EXPECT_NE(status.message().find("too complex"), std::string::npos) << pattern;
  }
}

TEST(Dfa, intersection_difference_and_minimal_form) {
  Budget budget;
  const Dfa a = whole("[a-z]{1,4}");
  const Dfa b = whole("(ab|x)+");
  const Dfa both = intersect(a, b, budget).value();
  EXPECT_TRUE(matches(both, "abx"));
  EXPECT_FALSE(matches(both, "ababab"));
  EXPECT_FALSE(matches(both, "aba"));
  const Dfa rest = subtract(a, b, budget).value();
  EXPECT_TRUE(matches(rest, "aba"));
  EXPECT_FALSE(matches(rest, "abx"));
  EXPECT_TRUE(intersect(rest, b, budget).value().empty());
  EXPECT_TRUE(subtract(both, a, budget).value().empty());
  EXPECT_EQ(whole("(aa|ba|ca)x|dax").states.size(), whole("[a-d]ax").states.size());
}

}  // namespace
}  // namespace inferneo::text::grammar
