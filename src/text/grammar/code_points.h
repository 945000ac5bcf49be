// Sets of Unicode characters, and the bytes that spell them: as plain UTF-8, or inside of a JSON
// string, where quotes, backslashes and control characters are escaped (one spelling a character).
// Thread: any (values).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/grammar/expression.h"

namespace inferneo::text::grammar {

struct CodePointRange {
  char32_t low = 0;
  char32_t high = 0;
};

class CodePointSet {
 public:
  CodePointSet() = default;
  CodePointSet(std::initializer_list<CodePointRange> ranges);

  void add(char32_t low, char32_t high) { ranges_.push_back({low, high}); }
  void add(const CodePointSet& other);
  // Every character (surrogates are none) that is not in the set.
  [[nodiscard]] CodePointSet complement() const;
  // Ascending, disjoint, without surrogates.
  [[nodiscard]] std::vector<CodePointRange> ranges() const;

 private:
  std::vector<CodePointRange> ranges_;
};

enum class Spelling : std::uint8_t { kPlain, kInJson };

// One character of the set.
ExprId spell(Expressions& expressions, const CodePointSet& set, Spelling spelling);
ExprId spell(Expressions& expressions, char32_t character, Spelling spelling);
// A text, character by character. Invalid UTF-8 becomes U+FFFD.
std::string spell_text(std::string_view text, Spelling spelling);

// Classes of Unicode: general categories by short name ("L", "Nd"). Empty for an unknown name.
CodePointSet category_set(std::string_view name);
// What every dialect takes for white space, respectively for none of it.
CodePointSet space_set();
CodePointSet not_space_set();

}  // namespace inferneo::text::grammar
