// Languages of strings: lengths, patterns and formats, in the spelling of JSON.
// Thread: one owner. Ownership: keeps the automata of the patterns it has met.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/grammar/grammar.h"
#include "text/value.h"

namespace inferneo::text::grammar {

class StringLanguages {
 public:
  explicit StringLanguages(Grammar& grammar) : grammar_(grammar) {}

  // Texts in which `pattern` occurs. Borrowed until the end of this object. Failures: as
  // parse_regex.
  Result<const Dfa*> pattern(const std::string& pattern);
  // Texts of a format; null when the format says nothing about the text ("password").
  // Failures: unsupported, naming those that are.
  Result<const Dfa*> format(const std::string& name);
  // Every text.
  const Dfa& any();
  // Texts of `min` to `max` characters (kRepeatForever: no bound).
  Result<Dfa> length(std::uint32_t min, std::uint32_t max);

  // Whether a text has a pattern, respectively a format.
  static bool contains(const Dfa& language, std::string_view text);

 private:
  Result<const Dfa*> keep(std::string key, Result<Dfa> dfa);

  Grammar& grammar_;
  std::map<std::string, Dfa> known_;
  std::optional<Dfa> any_;
};

}  // namespace inferneo::text::grammar
