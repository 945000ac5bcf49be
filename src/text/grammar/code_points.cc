#include "text/grammar/code_points.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.h"

namespace inferneo::text::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kSurrogateLow = 0xD800;
constexpr char32_t kSurrogateHigh = 0xDFFF;

// The UTF-8 encodings of all characters of one encoded length, from `low` to `high`, as sequences
// of byte ranges: equal leading bytes stay, the first that differs splits.
class Utf8Ranges {
 public:
  Utf8Ranges(Expressions& expressions, std::vector<ExprId>& out)
      : expressions_(expressions), out_(out) {}

  void add(char32_t low, char32_t high) {
    constexpr std::array<char32_t, 4> kLastOfLength{0x7F, 0x7FF, 0xFFFF, kLast};
    for (const char32_t last : kLastOfLength) {
      if (low > high) return;
      if (low <= last) {
        const char32_t end = std::min(high, last);
        std::string from;
        std::string to;
        utf8::append(from, low);
        utf8::append(to, end);
        split(from, to, 0, {});
        low = end + 1;
      }
    }
  }

 private:
  void split(const std::string& from,
             const std::string& to,
             std::size_t at,
             std::vector<ExprId> head) {
    const auto low = static_cast<std::uint8_t>(from[at]);
    const auto high = static_cast<std::uint8_t>(to[at]);
    if (at + 1 == from.size()) {
      head.push_back(expressions_.bytes(low, high));
      out_.push_back(expressions_.sequence(std::move(head)));
      return;
    }
    if (low == high) {
      head.push_back(expressions_.bytes(low, low));
      split(from, to, at + 1, std::move(head));
      return;
    }
    const std::string least(from.size() - at - 1, '\x80');
    const std::string most(from.size() - at - 1, '\xBF');
    int first = low;
    int last = high;
    if (from.substr(at + 1) != least) {
      split_one(
          from.substr(0, at + 1) + from.substr(at + 1), from.substr(0, at + 1) + most, at, head);
      ++first;
    }
    const bool cut_end = to.substr(at + 1) != most;
    if (cut_end) --last;
    if (first <= last) {
      std::vector<ExprId> parts = head;
      parts.push_back(
          expressions_.bytes(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last)));
      for (std::size_t i = at + 1; i < from.size(); ++i) {
        parts.push_back(expressions_.bytes(0x80, 0xBF));
      }
      out_.push_back(expressions_.sequence(std::move(parts)));
    }
    if (cut_end) split_one(to.substr(0, at + 1) + least, to, at, head);
  }

  void split_one(const std::string& from,
                 const std::string& to,
                 std::size_t at,
                 std::vector<ExprId> head) {
    const auto byte = static_cast<std::uint8_t>(from[at]);
    head.push_back(expressions_.bytes(byte, byte));
    split(from, to, at + 1, std::move(head));
  }

  Expressions& expressions_;
  std::vector<ExprId>& out_;
};

bool is_escaped(char32_t c) { return c < 0x20 || c == '"' || c == '\\'; }

std::string escape(char32_t c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return std::string("\\u00") + kHex[c >> 4U & 15U] + kHex[c & 15U];
  }
}

struct CategoryName {
  std::string_view name;
  utf8proc_category_t low;
  utf8proc_category_t high;
};

// Spec: Unicode general categories; those of one letter are neighbours in the library's numbering.
constexpr CategoryName kCategories[] = {
    {"L", UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO},
    {"Lu", UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LU},
    {"Ll", UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LL},
    {"Lt", UTF8PROC_CATEGORY_LT, UTF8PROC_CATEGORY_LT},
    {"Lm", UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LM},
    {"Lo", UTF8PROC_CATEGORY_LO, UTF8PROC_CATEGORY_LO},
    {"M", UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME},
    {"Mn", UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MN},
    {"N", UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO},
    {"Nd", UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_ND},
    {"Nl", UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_NL},
    {"No", UTF8PROC_CATEGORY_NO, UTF8PROC_CATEGORY_NO},
    {"P", UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO},
    {"S", UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SO},
    {"Sm", UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SM},
    {"Sc", UTF8PROC_CATEGORY_SC, UTF8PROC_CATEGORY_SC},
    {"Z", UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZP},
    {"Zs", UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZS},
};

}  // namespace

CodePointSet::CodePointSet(std::initializer_list<CodePointRange> ranges) : ranges_(ranges) {}

void CodePointSet::add(const CodePointSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
}

std::vector<CodePointRange> CodePointSet::ranges() const {
  std::vector<CodePointRange> sorted;
  for (const CodePointRange& range : ranges_) {
    if (range.low > range.high) continue;
    if (range.low < kSurrogateLow) {
      sorted.push_back({range.low, std::min(range.high, static_cast<char32_t>(kSurrogateLow - 1))});
    }
    if (range.high > kSurrogateHigh) {
      sorted.push_back({std::max(range.low, static_cast<char32_t>(kSurrogateHigh + 1)),
                        std::min(range.high, kLast)});
    }
  }
  std::sort(
      sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
  std::vector<CodePointRange> joined;
  for (const CodePointRange& range : sorted) {
    if (!joined.empty() && range.low <= joined.back().high + 1) {
      joined.back().high = std::max(joined.back().high, range.high);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

CodePointSet CodePointSet::complement() const {
  CodePointSet result;
  char32_t next = 0;
  for (const CodePointRange& range : ranges()) {
    if (range.low > next) result.add(next, range.low - 1);
    next = range.high + 1;
  }
  if (next <= kLast) result.add(next, kLast);
  return result;
}

ExprId spell(Expressions& expressions, const CodePointSet& set, Spelling spelling) {
  std::vector<ExprId> options;
  Utf8Ranges ranges(expressions, options);
  for (const CodePointRange& range : set.ranges()) {
    char32_t begin = range.low;
    // Escaped characters are below this one.
    for (char32_t c = begin; spelling == Spelling::kInJson && c <= '\\' && c <= range.high; ++c) {
      if (!is_escaped(c)) continue;
      if (c > begin) ranges.add(begin, c - 1);
      options.push_back(expressions.literal(escape(c)));
      begin = c + 1;
    }
    ranges.add(begin, range.high);
  }
  return expressions.choice(std::move(options));
}

ExprId spell(Expressions& expressions, char32_t character, Spelling spelling) {
  if (spelling == Spelling::kInJson && is_escaped(character)) {
    return expressions.literal(escape(character));
  }
  std::string text;
  utf8::append(text, character);
  return expressions.literal(text);
}

std::string spell_text(std::string_view text, Spelling spelling) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Decoded decoded = utf8::decode(text, at);
    at += decoded.size;
    if (spelling == Spelling::kInJson && is_escaped(decoded.code_point)) {
      out += escape(decoded.code_point);
    } else {
      utf8::append(out, decoded.code_point);
    }
  }
  return out;
}

namespace {

// Of all categories, in one walk over the characters: it takes some 10 ms, once.
std::vector<CodePointSet> read_categories() {
  constexpr std::size_t kCount = std::size(kCategories);
  std::vector<CodePointSet> sets(kCount);
  std::array<char32_t, kCount> begins{};
  std::array<bool, kCount> inside{};
  for (char32_t c = 0; c <= kLast + 1; ++c) {
    const auto category =
        c > kLast ? UTF8PROC_CATEGORY_CN : utf8proc_category(static_cast<utf8proc_int32_t>(c));
    for (std::size_t i = 0; i < kCount; ++i) {
      const bool member = category >= kCategories[i].low && category <= kCategories[i].high;
      if (member && !inside[i]) begins[i] = c;
      if (!member && inside[i]) sets[i].add(begins[i], c - 1);
      inside[i] = member;
    }
  }
  return sets;
}

}  // namespace

CodePointSet category_set(std::string_view name) {
  static const std::vector<CodePointSet> sets = read_categories();
  const auto* found = std::ranges::find(kCategories, name, &CategoryName::name);
  if (found == std::end(kCategories)) return {};
  return sets[static_cast<std::size_t>(found - std::begin(kCategories))];
}

// Spec: ECMA-262 WhiteSpace and LineTerminator, and what Python and PCRE2 count besides.
CodePointSet space_set() { return {{'\t', '\r'}, {' ', ' '}}; }

CodePointSet not_space_set() {
  return CodePointSet{{'\t', '\r'},
                      {0x1C, 0x20},
                      {0x85, 0x85},
                      {0xA0, 0xA0},
                      {0x1680, 0x1680},
                      {0x180E, 0x180E},
                      {0x2000, 0x200B},
                      {0x2028, 0x2029},
                      {0x202F, 0x202F},
                      {0x205F, 0x205F},
                      {0x3000, 0x3000},
                      {0xFEFF, 0xFEFF}}
      .complement();
}

}  // namespace inferneo::text::grammar
